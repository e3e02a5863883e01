"""Everyday text with the words that attacks are made of, in every channel; and orders that are as short.

Collections of attacks have fragments of a few words, collections of harmless text have sentences. Without labels,
buttons, footers and errors among the harmless ones a codebook takes what is short and says `prompt` for an attack;
with addresses among the harmless ones alone it takes what names an address for harmless. So notes come in pairs, the
same but for what is asked for, and of whom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
_ASIDE: Final = ("overrides", "errands")  # what stands in notes, and is a payload
_NOTED: Final = 0.4  # share of the pairs there that are notes
_PARTS: Final = 3  # of the templates of a kind
_OVERRIDING: Final = 0.3  # share of users' orders that name something to do
_NAMED: Final = {"footer": "footers", "error": "errors", "button": "buttons"}

Around = Callable[[str], str]


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

    def drawn(section: str, label: str, channel: str, around: Around = lambda said: said) -> Row:
        templates = bank[section]
        at = int(rng.integers(len(templates)))
        said = fill(templates[at], slots, rng)
        # Several sources for each kind and channel, since sources weigh the same: what is common must weigh as much.
        source = f"gen_usual_{section}_{at % _PARTS}_{channel}"
        return Row(around(said), label, source, channel, payload=said if section in _ASIDE else "")

    def note() -> Around:
        greeting, closing = (drawn(section, "", "").text for section in ("greetings", "closings"))
        before, after = ([drawn("around", "", "").text for _ in range(int(rng.integers(1, 4)))] for _ in range(2))
        gap = (" ", "\n", "\n\n")[int(rng.integers(3))]
        return lambda said: gap.join(part for part in (greeting, *before, said, *after, closing) if part)

    def draw(number: int) -> Pair:
        channel = CHANNELS[number % len(CHANNELS)]
        if channel in _NOTES and rng.random() < _NOTED:
            around, order = note(), _ASIDE[int(rng.integers(len(_ASIDE)))]
            return drawn(order, "injection", channel, around), drawn("asked", "benign", channel, around)
        kinds = _KINDS[channel]
        # Users ask for errands every day: theirs are attacks only if they override something.
        order = "overrides" if channel == "user" and rng.random() < _OVERRIDING else "orders"
        kind = kinds[int(rng.integers(len(kinds)))]
        return drawn(order, "injection", channel), drawn(kind, "hard_negative", channel)

    return distinct_pairs(draw, count)


def _slots() -> dict[str, list[str]]:
    """What fills the slots of the bank: its own, with capitals too, and whole sections of it."""
    bank = phrases("usual")
    slots = dict(bank["slots"])
    for name, words in bank["slots"].items():
        slots[f"cap_{name}"] = [word[:1].upper() + word[1:] for word in words]
        slots[f"upper_{name}"] = [word.upper() for word in words]
    return slots | {slot: bank[section] for slot, section in _NAMED.items()}
