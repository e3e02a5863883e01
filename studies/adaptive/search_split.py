"""The payload in two places, harmless text between."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from drafts import Draft, words_in
from moves import Pieces, chance_of, joints
from sameness import BUDGET
from starts import Start
from targets import Answer

_FIRST, _STEPS = 6, 160


class Split:
    """Tries places and fillers; then changes the place, the filler, or adds to the filler, and keeps what is better."""

    def __init__(self, pieces: Pieces) -> None:
        """Fills with `pieces`."""
        self._pieces = pieces

    def __call__(self, start: Start) -> Generator[list[Draft], list[Answer], None]:
        chance, places = chance_of(start, "split"), words_in(start) - 1
        if places < 1:
            return

        def filler(room: int = BUDGET) -> str:
            joint = chance.choice(joints())
            piece = self._pieces.draw(start, chance, room - len(joint) - 1)
            return f"{joint}\n{piece.rstrip()}" if piece else ""

        drafts = [Draft(start, cut=chance.randrange(places), filler=filler()) for _ in range(_FIRST)]
        best, least = drafts[0], float("inf")
        for _ in range(_STEPS):
            answers = yield drafts
            for draft, answer in zip(drafts, answers):
                if answer.score <= least:
                    best, least = draft, answer.score
            drafts = [
                replace(best, cut=chance.randrange(places)) if number % 3 == 0
                else replace(best, filler=filler()) if number % 3 == 1
                else replace(best, filler=best.filler + filler(BUDGET - len(best.filler)))
                for number in range(6)
            ]  # fmt: skip
