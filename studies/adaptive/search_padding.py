"""Harmless text before and behind the payload, piece by piece; no word of it is changed."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from drafts import Draft
from moves import Pieces, chance_of
from sameness import BUDGET
from starts import Start
from targets import Answer

_TRIES, _RESTARTS = 5, 40


class Padding:
    """Grows padding greedily at either end, up to the budget; then anew."""

    def __init__(self, pieces: Pieces) -> None:
        """Pads with `pieces`."""
        self._pieces = pieces

    def __call__(self, start: Start) -> Generator[list[Draft], list[Answer], None]:
        chance = chance_of(start, "padding")
        for _ in range(_RESTARTS):
            kept = Draft(start)
            while True:
                drafts = []
                for _ in range(_TRIES):
                    piece = self._pieces.draw(start, chance, BUDGET - kept.added - 1)
                    if piece and chance.random() < 0.5:
                        drafts.append(replace(kept, prefix=piece + kept.prefix))
                    elif piece:
                        drafts.append(replace(kept, suffix=f"{kept.suffix} {piece}".rstrip()))
                if not drafts:
                    break
                answers = yield drafts
                kept = drafts[min(range(len(drafts)), key=lambda i: answers[i].score)]
