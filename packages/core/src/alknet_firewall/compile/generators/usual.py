"""Everyday text with the words that attacks are made of, in every channel; and orders that are as short.

Collections of attacks have fragments of a few words, collections of harmless text have sentences. Without labels,
buttons, footers and errors among the harmless ones a codebook takes what is short and says `prompt` for an attack;
with addresses among the harmless ones alone it takes what names an address for harmless. So notes come in pairs, the
same but for what is asked for, and of whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs, fill, phrases
from alknet_firewall.compile.rows import Row
from alknet_firewall.verdict import CHANNELS

_KINDS: Final = {
    "user": ("labels", "buttons", "about", "about", "requests", "requests"),
    "document": ("labels", "buttons", "footers", "howto", "links"),
    "tool": ("labels", "buttons", "errors", "errors", "footers", "howto", "links"),
    "response": ("labels", "buttons", "footers", "errors", "howto", "links"),
}
"""What is harmless in each channel, more than once what is more common there."""
_NOTES: Final = ("document", "tool", "response")  # channels that have notes: users write none to themselves
_NOTED: Final = 0.4  # share of the pairs there that are notes
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
    bank, slots = phrases("usual"), _slots()

    def text(section: str) -> str:
        templates = bank[section]
        return fill(templates[int(rng.integers(len(templates)))], slots, rng)

    def note(channel: str) -> Pair:
        greeting, closing = text("greetings"), text("closings")
        before, after = ([text("around") for _ in range(int(rng.integers(1, 4)))] for _ in range(2))
        gap = (" ", "\n", "\n\n")[int(rng.integers(3))]

        def around(asked: str) -> str:
            return gap.join(part for part in (greeting, *before, asked, *after, closing) if part)

        errand = text("errands")
        order = Row(around(errand), "injection", f"gen_usual_errands_{channel}", channel, payload=errand)
        return order, Row(around(text("asked")), "benign", f"gen_usual_notes_{channel}", channel)

    def draw(number: int) -> Pair:
        channel = CHANNELS[number % len(CHANNELS)]
        if channel in _NOTES and rng.random() < _NOTED:
            return note(channel)
        kinds = _KINDS[channel]
        kind = kinds[int(rng.integers(len(kinds)))]
        # A source for each kind and channel: sources weigh the same.
        order = Row(text("orders"), "injection", f"gen_usual_orders_{channel}", channel)
        return order, Row(text(kind), "hard_negative", f"gen_usual_{kind}_{channel}", channel)

    return distinct_pairs(draw, count)


def _slots() -> dict[str, list[str]]:
    """What fills the slots of the bank: its own, with capitals too, and whole sections of it."""
    bank = phrases("usual")
    slots = dict(bank["slots"])
    for name, words in bank["slots"].items():
        slots[f"cap_{name}"] = [word[:1].upper() + word[1:] for word in words]
        slots[f"upper_{name}"] = [word.upper() for word in words]
    return slots | {slot: bank[section] for slot, section in _NAMED.items()}
