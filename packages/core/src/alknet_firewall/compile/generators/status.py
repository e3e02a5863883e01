"""Benign texts of a word or a line, in every channel: without them, what is merely short is rare, and alarms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alknet_firewall.compile.generators.base import Pool, fill, phrases
from alknet_firewall.compile.rows import Row
from alknet_firewall.verdict import CHANNELS

_TRIES = 200  # draws for one row, before the bank is taken to have nothing new


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields status words, one-line results and acknowledgements, each text once a channel.

    Raises:
        LookupError: The bank holds no further texts.
    """
    bank = phrases("status")
    seen: set[tuple[str, str]] = set()
    for number in range(count):
        channel = CHANNELS[number % len(CHANNELS)]
        for _ in range(_TRIES):
            kind = ("words", "sentences", "world")[int(rng.integers(3))]
            phrase = bank[kind][int(rng.integers(len(bank[kind])))]
            shape = int(rng.integers(len(bank["forms"])))
            form = bank["forms"][shape].replace("{{", "{").replace("}}", "}")
            text = fill(form.replace("{text}", phrase), bank["slots"], rng)
            if (text, channel) not in seen:
                break
        else:
            raise LookupError("the bank of short texts holds nothing new")
        seen.add((text, channel))
        # A source for each shape, too: sources weigh the same, and this is much of what tools return.
        yield Row(text, "benign", f"gen_status_{kind}_{shape}_{channel}", channel, gid=phrase)
