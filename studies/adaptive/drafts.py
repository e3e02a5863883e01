"""A draft: a start with what an attacker did to it, and what that cost."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sameness import BUDGET, WORD, reads_the_same, synonyms
from starts import Start


@dataclass(frozen=True)
class Draft:
    """A text on its way past a filter.

    Attributes:
        start: What it was made from.
        swaps: By place of a word of the payload, what stands for it now.
        prefix: Put in front of the payload.
        suffix: Put behind it.
        cut: Behind which word of the payload `filler` is put.
        filler: Parts the payload in two.
        spelled: The payload in disguise, checked by who made it to be undone without loss; None: in plain sight.
    """

    start: Start
    swaps: Mapping[int, str] = field(default_factory=dict)
    prefix: str = ""
    suffix: str = ""
    cut: int = 0
    filler: str = ""
    spelled: str | None = None

    @cached_property
    def payload(self) -> str:
        """The payload with its words swapped, parted by the filler, in disguise."""
        if self.spelled is not None:
            return self.spelled
        parts, last = [], 0
        for place, found in enumerate(WORD.finditer(self.start.payload)):
            parts.append(self.start.payload[last : found.start()])
            parts.append(_like(found.group(), self.swaps[place]) if place in self.swaps else found.group())
            last = found.end()
            if self.filler and place == self.cut:
                parts.append(self.filler)
        return "".join([*parts, self.start.payload[last:]])

    @cached_property
    def text(self) -> str:
        """What is sent."""
        return f"{self.start.before}{self.prefix}{self.payload}{self.suffix}{self.start.after}"

    @property
    def words_changed(self) -> int:
        """Words of the payload that are others now; in disguise all that are not in plain sight."""
        if self.spelled is None:
            return len(self.swaps)
        left = WORD.findall(self.spelled)
        return sum(word not in left for word in WORD.findall(self.start.payload))

    @property
    def added(self) -> int:
        """Characters that were added around the words."""
        return len(self.prefix) + len(self.suffix) + len(self.filler)

    @property
    def allowed(self) -> bool:
        """Whether it still counts as the same instruction."""
        same = self.spelled is not None or reads_the_same(self.start.payload, self.payload)
        return same and self.added <= BUDGET


def swappable(start: Start) -> dict[int, tuple[str, ...]]:
    """By place of a word of the payload, what may stand for it."""
    table = synonyms()
    found = {place: table.get(word.lower(), ()) for place, word in enumerate(WORD.findall(start.payload))}
    return {place: others for place, others in found.items() if others}


def words_in(start: Start) -> int:
    """Words of the payload."""
    return len(WORD.findall(start.payload))


def swapped_at_random(start: Start, chance: random.Random, share: float) -> dict[int, str]:
    """Swaps of about a share of the words that can be swapped."""
    return {place: chance.choice(others) for place, others in swappable(start).items() if chance.random() < share}


def _like(old: str, new: str) -> str:
    """`new` in the capitals of `old`."""
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[0].upper() + new[1:] if old[0].isupper() else new
