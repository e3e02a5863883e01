"""What several searches share: chance that hangs on the start alone, and pieces to pad with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from banks import bank
from sameness import BUDGET
from starts import Start

from alknet_firewall.compile.rows import Row

_LONGEST_PIECE = 180  # characters


def joints() -> list[str]:
    """What may stand at a place where a payload is parted."""
    joints: list[str] = bank("padding")["joints"]
    return joints


def chance_of(start: Start, search: str) -> random.Random:
    """Chance that is the same whenever start and search are."""
    return random.Random(f"{search} {start.key}")


@dataclass(frozen=True)
class Pieces:
    """Harmless text to pad with, by channel: the committed sentences and the beginnings of benign rows."""

    by_channel: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, benign: Sequence[Row] = ()) -> Pieces:
        """The committed ones, and those of benign rows."""
        found: dict[str, list[str]] = {name: list(own) for name, own in bank("padding").items() if name != "joints"}
        for row in benign:
            head = " ".join(row.text[:_LONGEST_PIECE].split(" ")[:-1]).strip()
            if head:
                found[row.channel].append(head)
        return cls({channel: tuple(dict.fromkeys(own)) for channel, own in found.items()})

    def draw(self, start: Start, chance: random.Random, room: int = BUDGET) -> str:
        """A piece of the channel, with a blank or a line's end, no longer than `room`; empty if there is none."""
        piece = chance.choice(self.by_channel[start.channel]) + chance.choice((" ", "\n", "\n\n"))
        return piece if len(piece) <= room else ""
