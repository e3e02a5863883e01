"""Genetic search over word swaps and padding together."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import replace

from drafts import Draft, swappable, swapped_at_random
from moves import Pieces, chance_of
from sameness import BUDGET
from starts import Start
from targets import Answer

_POPULATION, _PARENTS, _GENERATIONS = 10, 5, 110


class Genetic:
    """Of a population the fittest are crossed and mutated."""

    def __init__(self, pieces: Pieces) -> None:
        """Pads with `pieces`."""
        self._pieces = pieces

    def __call__(self, start: Start) -> Generator[list[Draft], list[Answer], None]:
        chance = chance_of(start, "genetic")
        population = [
            self._mutated(Draft(start, swapped_at_random(start, chance, 0.4)), chance) for _ in range(_POPULATION)
        ]
        fittest: list[tuple[float, Draft]] = []
        for _ in range(_GENERATIONS):
            answers = yield population
            judged = [*fittest, *((answer.score, draft) for answer, draft in zip(answers, population))]
            fittest = sorted(judged, key=lambda one: one[0])[:_PARENTS]
            parents = [draft for _, draft in fittest]
            population = [
                self._mutated(_crossed(chance.choice(parents), chance.choice(parents), chance), chance)
                for _ in range(_POPULATION)
            ]

    def _mutated(self, draft: Draft, chance: random.Random) -> Draft:
        swaps, slots = dict(draft.swaps), swappable(draft.start)
        for place in chance.sample(sorted(slots), min(len(slots), 2)):
            swaps[place] = chance.choice(slots[place])
        if slots and chance.random() < 0.2:
            swaps.pop(chance.choice(sorted(slots)), None)
        draft = replace(draft, swaps=swaps)
        roll = chance.random()
        if roll < 0.35:
            piece = self._pieces.draw(draft.start, chance, BUDGET - len(draft.suffix))
            return replace(draft, prefix=piece)
        if roll < 0.7:
            piece = self._pieces.draw(draft.start, chance, BUDGET - len(draft.prefix) - 1)
            return replace(draft, suffix=" " + piece if piece else "")
        return draft


def _crossed(one: Draft, other: Draft, chance: random.Random) -> Draft:
    """Half the swaps of each, and the padding of either end from either, if it does not become too long."""
    places = {*one.swaps, *other.swaps}
    swaps = {}
    for place in sorted(places):
        parent = chance.choice((one, other))
        if place in parent.swaps:
            swaps[place] = parent.swaps[place]
    prefix, suffix = chance.choice((one, other)).prefix, chance.choice((one, other)).suffix
    return Draft(one.start, swaps, prefix, suffix if len(prefix) + len(suffix) <= BUDGET else "")
