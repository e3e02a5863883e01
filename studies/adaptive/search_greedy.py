"""Greedy word swaps: of all swaps of a few words the best is kept, until no word is left; then anew, from chance."""

from __future__ import annotations

from collections.abc import Generator

from drafts import Draft, swappable, swapped_at_random
from moves import chance_of
from starts import Start
from targets import Answer

_WORDS = 3  # whose swaps are tried at a step
_RESTARTS = 10


def greedy(start: Start) -> Generator[list[Draft], list[Answer], None]:
    """Only words are changed; nothing is added."""
    chance, slots = chance_of(start, "greedy"), swappable(start)
    for attempt in range(_RESTARTS if slots else 0):
        kept = swapped_at_random(start, chance, 0.3) if attempt else {}
        order = [place for place in slots if place not in kept]
        chance.shuffle(order)
        while order:
            places, order = order[:_WORDS], order[_WORDS:]
            drafts = [Draft(start, {**kept, place: other}) for place in places for other in slots[place]]
            chance.shuffle(drafts)
            answers = yield drafts
            best = min(range(len(drafts)), key=lambda i: answers[i].score)
            kept = dict(drafts[best].swaps)
            order += [place for place in places if place not in kept]
