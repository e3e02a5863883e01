"""Everyday text with the words that attacks are made of, in every channel; and orders that are as short.

Collections of attacks have fragments of a few words, collections of harmless text have sentences. Without labels,
buttons, footers and errors among the harmless ones a codebook takes what is short and says `prompt` for an attack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs, fill, phrases
from alknet_firewall.compile.rows import Row
from alknet_firewall.verdict import CHANNELS

_KINDS: Final = {
    "user": ("labels", "buttons", "about", "about", "about"),
    "document": ("labels", "buttons", "footers", "footers"),
    "tool": ("labels", "buttons", "errors", "errors", "footers"),
    "response": ("labels", "buttons", "footers", "errors"),
}
"""What is harmless in each channel, by how often."""
_NAMED: Final = {"footer": "footers", "error": "errors", "button": "buttons"}


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different rows, short orders and harmless texts in turn.

    Args:
        pool: Not used.
        rng: The source of chance; the same state gives the same rows.
        count: How many rows.

    Raises:
        RuntimeError: The bank holds nothing new.
    """
    bank = phrases("usual")
    slots = dict(bank["slots"])
    for name, words in bank["slots"].items():
        slots[f"cap_{name}"] = [word[:1].upper() + word[1:] for word in words]
        slots[f"upper_{name}"] = [word.upper() for word in words]
    slots |= {slot: bank[section] for slot, section in _NAMED.items()}

    def text(section: str) -> str:
        templates = bank[section]
        return fill(templates[int(rng.integers(len(templates)))], slots, rng)

    def draw(number: int) -> Pair:
        channel = CHANNELS[number % len(CHANNELS)]
        kinds = _KINDS[channel]
        kind = kinds[int(rng.integers(len(kinds)))]
        # A source for each kind and channel: sources weigh the same.
        order = Row(text("orders"), "injection", f"gen_usual_orders_{channel}", channel)
        return order, Row(text(kind), "hard_negative", f"gen_usual_{kind}_{channel}", channel)

    return distinct_pairs(draw, count)
