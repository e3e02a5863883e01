"""Tasks foreign to a text behind a fanfare that raises them above everything else; announcements to people as loud.

A call for attention is no sign by itself: mails, notices and manuals are full of them. What counts is whether it lifts
a task for whoever reads, and away from the text, or tells people what concerns them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from alknet_firewall.compile.generators import tasks_text as texts
from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs, phrases
from alknet_firewall.compile.generators.carrier_formats import FORMATS
from alknet_firewall.compile.generators.carriers import Maker
from alknet_firewall.compile.generators.tasks import framed, framing
from alknet_firewall.compile.generators.tasks_text import Said
from alknet_firewall.compile.rows import Row

_CHANNELS: Final = ("document", "document", "tool")
_LONG: Final = 0.35  # share of fanfares of two sentences behind the first words


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different rows, attacks and their harmless partners in turn.

    Args:
        pool: Benign rows of channels `document` and `tool`; where it has none, surroundings are made up.
        rng: Source of all randomness: the same state yields the same rows.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: The banks cannot yield that many different texts.
    """
    maker = Maker(pool, rng)

    def draw(_: int) -> Pair:
        frame = framing(maker, maker.pick(_CHANNELS), tuple(FORMATS))
        task = texts.document_attack(maker, frame.format == "bare")
        asked = texts.document_partner(maker, task)
        alarm, gap, long = maker.pick(phrases("summons")["alarms"]), maker.pick((" ", " ", "\n")), maker.chance(_LONG)

        def raised(said: Said, side: str) -> Said:
            fanfare = [alarm, *(_sentence(maker, side) for _ in range(1 + long))]
            return replace(said, text=gap.join([" ".join(part for part in fanfare if part), said.text]))

        return framed(frame, raised(task, "attack"), raised(asked, "partner"), "summons")

    return distinct_pairs(draw, count)


def _sentence(maker: Maker, side: str) -> str:
    bank = phrases("summons")
    text = texts.say(maker, maker.pick(bank[side]), bank["slots"])
    return text.upper() if maker.chance(0.05) else text
