"""What every generator uses: carriers to compose with, phrase banks, and the filling of slots."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from alknet_firewall.compile.rows import Row

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Pair = tuple[Row, Row]
"""An attack and its harmless partner."""

_TRIES = 200  # draws for a text not seen before; a bank that small is a fault worth hearing of
_SLOT = re.compile(r"\{([a-z_]+)\}")


class Pool:
    """The rows at hand to compose from: benign carriers by channel, and plain harmful requests.

    Attributes:
        drawn: Sources of the rows drawn so far; whoever wants to know what one text borrowed from clears it before.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Sorts `rows` into carriers by channel and source, so that each source is drawn equally often."""
        self._carriers: dict[str, dict[str, list[Row]]] = {}
        for row in rows:
            if row.label == "benign":
                self._carriers.setdefault(row.channel, {}).setdefault(row.source, []).append(row)
        self._harmful = [row for row in rows if row.label == "harmful"]
        self.drawn: list[str] = []

    def carriers(self, channel: str, rng: np.random.Generator) -> Row:
        """Draws a benign row of `channel`: first a source, then a row of it.

        Raises:
            LookupError: There is no benign row of that channel.
        """
        sources = self._carriers.get(channel)
        if not sources:
            raise LookupError(f"no benign row of channel {channel!r} to compose with")
        rows = sources[sorted(sources)[int(rng.integers(len(sources)))]]
        return self._draw(rows, rng)

    def harmful(self, rng: np.random.Generator) -> str:
        """Draws a plain harmful request.

        Raises:
            LookupError: There is no row labelled `harmful`.
        """
        if not self._harmful:
            raise LookupError("no row labelled 'harmful' to compose with")
        return self._draw(self._harmful, rng).text

    def _draw(self, rows: Sequence[Row], rng: np.random.Generator) -> Row:
        row = rows[int(rng.integers(len(rows)))]
        self.drawn.append(row.source)
        return row


@lru_cache
def phrases(name: str) -> dict[str, Any]:
    """Reads the phrase bank `phrases/<name>.toml`."""
    return tomllib.loads(files(__package__).joinpath("phrases", f"{name}.toml").read_text(encoding="utf-8"))


def fill(template: str, slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
    """Replaces each `{slot}` by a random choice from `slots[slot]`; a choice may hold slots itself.

    Raises:
        KeyError: The template names a slot that is not in `slots`.
    """
    while match := _SLOT.search(template):
        choices = slots[match.group(1)]
        choice = choices[int(rng.integers(len(choices)))]
        template = template[: match.start()] + choice + template[match.end() :]
    return template


def distinct_pairs(draw: Callable[[int], Pair], count: int) -> Iterator[Row]:
    """Yields `count` rows, attacks and their partners in turn, no text twice.

    Args:
        draw: Makes a pair; told its number, from 0. It is asked again where one of its texts was there before.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: `draw` makes nothing new.
    """
    seen: set[str] = set()
    for index in range(0, count, 2):
        for _ in range(_TRIES):
            pair = draw(index // 2)
            if not seen & {row.text for row in pair} and pair[0].text != pair[1].text:
                break
        else:
            raise RuntimeError(f"no new text in {_TRIES} draws after {index} rows")
        seen.update(row.text for row in pair)
        yield from pair[: count - index]
