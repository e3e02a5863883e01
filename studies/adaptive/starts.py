"""Where attacks start: texts that a target flags as they stand, from labelled rows or from the committed examples."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from banks import bank

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row

SHORTEST, LONGEST = 40, 400  # characters of a whole text
CHANNELS = ("user", "document", "tool")
_ENGLISH = 0.97  # share of ASCII characters


@dataclass(frozen=True)
class Start:
    """A text with a payload in it.

    Attributes:
        text: As it is caught.
        payload: The part that gives the orders; the whole text where it is not known.
        channel: Where it arrives.
        source: What it was taken from.
    """

    text: str
    payload: str
    channel: str
    source: str

    @property
    def before(self) -> str:
        """What stands in front of the payload."""
        return self.text[: self.text.index(self.payload)]

    @property
    def after(self) -> str:
        """What stands behind it."""
        return self.text[len(self.before) + len(self.payload) :]

    @property
    def key(self) -> str:
        """A short name that tells nothing of the text."""
        return sha256(f"{self.channel}\0{self.text}\0{self.payload}".encode()).hexdigest()[:12]


def example_starts() -> list[Start]:
    """The committed ones."""
    listed = bank("example_attacks")["attack"]
    return [Start(one["text"], one.get("payload", one["text"]), one["channel"], "example") for one in listed]


def starts_of(rows: Sequence[Row], seed: int) -> list[Start]:
    """Attacks in English of middle length, dealt from channels and sources in turn, in the same order for a seed."""
    fitting = [row for row in rows if row.label in ATTACK_LABELS and row.channel in CHANNELS and _fits(row.text)]
    dealt = _dealt(fitting, seed)
    return [
        Start(row.text, row.payload if row.payload and row.payload in row.text else row.text, row.channel, row.source)
        for row in dealt
    ]


def benign_rows(rows: Sequence[Row], seed: int, count: int) -> list[Row]:
    """Benign rows of the same lengths and channels, dealt in the same way."""
    return _dealt([row for row in rows if row.label in BENIGN_LABELS and row.channel in CHANNELS and _fits(row.text)], seed)[:count]


def _fits(text: str) -> bool:
    return SHORTEST <= len(text) <= LONGEST and sum(map(str.isascii, text)) >= _ENGLISH * len(text)


def _dealt(rows: Sequence[Row], seed: int) -> list[Row]:
    """Rows in turn of channels, and within a channel of sources."""
    shuffled = random.Random(seed).sample(list(rows), len(rows))
    seen: dict[tuple[str, str], int] = {}
    ranked: dict[str, list[tuple[int, int]]] = {}
    for i, row in enumerate(shuffled):
        cell = row.channel, row.source
        seen[cell] = seen.get(cell, 0) + 1
        ranked.setdefault(row.channel, []).append((seen[cell], i))
    order = [
        (place, channel, i)
        for channel, own in ranked.items()
        for place, (_, i) in enumerate(sorted(own))
    ]
    return [shuffled[i] for _, _, i in sorted(order)]
