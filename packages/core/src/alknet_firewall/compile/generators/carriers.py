"""Places where a payload can stand: a frame of harmless surroundings with a hole in it.

A frame is drawn once and can be rendered with several payloads, so that an attack and its harmless partner
differ in nothing but the payload.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alknet_firewall.compile.generators.base import Pool, fill, phrases

Render = Callable[[str], str]

# A unit of text ends at a line break or after the end of a sentence; the white space stays with the unit.
_UNIT = re.compile(r".+?(?:\n+|(?<=[.!?\u3002\uff01\uff1f])\s+|(?<=[\u3002\uff01\uff1f])|$)", re.DOTALL)
_READ_CHARS = 20_000  # of a pool row: enough to cut a window from, whatever the length of the row
_UNIT_CHARS = 1_200  # longer units (minified code, one-line dumps) are cut, else one would fill the window


@dataclass(frozen=True, slots=True)
class Frame:
    """Surroundings with a hole.

    Attributes:
        format: Name of the format, as in `carrier_formats.FORMATS`.
        channel: Channel on which such text comes in.
        position: Where the hole is: `start`, `middle`, `end`, or `both` for two holes.
        may_be_empty: Whether the text reads naturally with an empty payload.
        render: Puts a payload into the hole.
    """

    format: str
    channel: str
    position: str
    may_be_empty: bool
    render: Render


class Maker:
    """Draws what frames are made of: filled lines, prose, pool text, positions."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        """Keeps `pool` and `rng`, and reads the phrase banks of carriers."""
        self.pool = pool
        self.rng = rng
        self.slots: dict[str, list[str]] = dict(phrases("injection_slots"))
        self.bank = phrases("carrier_content")

    def pick(self, choices: Sequence[str]) -> str:
        """Draws one of `choices`."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """Is true with probability `share`."""
        return bool(self.rng.random() < share)

    def between(self, low: int, high: int) -> int:
        """Draws an integer from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def say(self, template: str) -> str:
        """Fills the slots of `template`; doubled braces become single ones."""
        return unbrace(fill(template, self.slots, self.rng))

    def line(self, bank: str) -> str:
        """Draws and fills one line of the list `bank` in `carrier_content.toml`."""
        return self.say(self.pick(self.bank[bank]))

    def lines(self, bank: str, low: int, high: int) -> list[str]:
        """Draws `low` to `high` different lines of `bank` (fewer if the bank is smaller), filled."""
        choices = self.bank[bank]
        size = min(len(choices), self.between(low, high))
        return [self.say(choices[i]) for i in self.rng.choice(len(choices), size, replace=False)]

    def sentences(self, low: int, high: int) -> list[str]:
        """Draws `low` to `high` sentences on one topic, in order: made up, or at times from the pool."""
        if self.chance(0.35) and (taken := self._taken(low, high)):
            return taken
        topics = self.bank["topics"]
        topic = topics[self.pick(sorted(topics))]
        size = min(len(topic), self.between(low, high))
        return [self.say(topic[i]) for i in sorted(self.rng.choice(len(topic), size, replace=False))]

    def _taken(self, low: int, high: int) -> list[str]:
        """Takes `low` to `high` short sentences in a row from a pool document, or none."""
        try:
            text = self.pool.carriers("document", self.rng).text
        except LookupError:
            return []
        units = [" ".join(unit.split()) for unit in cut(text, self.between(low, high) * 25, self.rng)]
        units = [unit for unit in units if 20 <= len(unit) <= 300][:high]
        return units if len(units) >= low else []

    def made_prose(self) -> list[str]:
        """Makes prose of one to four topics as units that end in white space."""
        units: list[str] = []
        for _ in range(self.between(1, 4)):
            units += [sentence + " " for sentence in self.sentences(3, 8)]
            units[-1] = units[-1].rstrip() + "\n\n"
        return units

    def prose(self, channel: str = "document") -> list[str]:
        """Draws a pool row of `channel`, cut to 30 to 300 words, as units; now and then makes prose up."""
        if self.chance(0.2):
            return self.made_prose()
        try:
            text = self.pool.carriers(channel, self.rng).text
        except LookupError:
            return self.made_prose()
        return cut(text, self.between(30, 300), self.rng) or self.made_prose()


def unbrace(text: str) -> str:
    """Turns doubled braces, which stand for literal ones in phrase banks, into single ones."""
    return text.replace("{{", "{").replace("}}", "}")


def cut(text: str, words: int, rng: np.random.Generator) -> list[str]:
    """Cuts a run of whole units of about `words` words out of `text`, from a random unit on."""
    units = [unit[:_UNIT_CHARS] for unit in _UNIT.findall(text[:_READ_CHARS]) if unit.strip()]
    if not units:
        return []
    sizes = [max(1, len(unit.split()), len(unit) // 12) for unit in units]  # `// 12`: text without spaces
    first = 0
    if sum(sizes) > words:
        tails = np.cumsum(sizes[::-1])[::-1]
        first = int(rng.integers(max(1, int((tails >= min(words, 30)).sum()))))
    last, total = first, 0
    while last < len(units) and (total == 0 or total + sizes[last] <= words):
        total += sizes[last]
        last += 1
    return units[first:last]


def hole(units: Sequence[str], maker: Maker) -> tuple[str, Render]:
    """Draws where in `units` a payload stands: at the start, in the middle, at the end, or in two places.

    Returns:
        The position, and a function that puts a payload there at a natural boundary.
    """
    kind = maker.pick(("start", "middle", "middle", "end", "end", "both"))
    middle = maker.between(1, max(1, len(units) - 1))
    spots = {
        "start": [0],
        "middle": [middle],
        "end": [len(units)],
        "both": sorted({0, middle, len(units)})[-2:],
    }[kind]
    own_line = maker.chance(0.4)

    def render(payload: str) -> str:
        if not payload:
            return "".join(units).strip()
        parts: list[str] = []
        for index in range(len(units) + 1):
            if index in spots:
                parts.append(_between(parts[-1] if parts else "", payload, own_line))
            if index < len(units):
                parts.append(units[index])
        return "".join(parts).strip()

    return kind, render


def _between(before: str, payload: str, own_line: bool) -> str:
    """Sets `payload` off from the unit `before` it and the one after it as the text around it does."""
    if before.endswith("\n"):
        tail = before[len(before.rstrip("\n")) :]
        return payload + (tail if len(tail) < 3 else "\n")
    if own_line or "\n" in payload:
        return ("\n" if before else "") + payload + "\n"
    return (" " if before and not before[-1].isspace() else "") + payload + " "
