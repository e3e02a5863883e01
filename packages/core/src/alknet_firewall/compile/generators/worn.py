"""Attacks as somebody leaves them who tries to get past a filter: padded, parted, with other words; harmless partners.

What a search against the firewall finds (studies/adaptive) is written here as rules, so that no text of a test is ever
trained on. A partner has the padding, the parting and the swaps of its attack, and a note to people in place of the
orders: neither padding nor rare words tell the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs, phrases
from alknet_firewall.compile.generators.carriers import Maker
from alknet_firewall.compile.generators.injection_text import Payload, draw_attack, draw_note
from alknet_firewall.compile.rows import Row

CHANNELS: Final = ("user", "document", "tool")
KINDS: Final = ("front", "back", "around", "around", "parted", "parted", "swapped")
_WORD: Final = re.compile(r"[A-Za-z]+")
_SWAPPED: Final = 0.6  # share of the words that have another, where words are swapped
_ALSO_SWAPPED: Final = 0.4  # share of the padded and parted ones in which words are swapped as well
_LONGEST: Final = 400  # characters of padding
_TRIES: Final = 60  # draws for an attack in English

Wear = Callable[[str], tuple[str, str]]
"""From a text to what becomes of it, and to the part of that which is not padding."""


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different rows, attacks and their harmless partners in turn.

    Args:
        pool: Benign rows to pad with; where it has none of a channel, padding is made up.
        rng: Source of all randomness: the same state yields the same rows.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: The banks cannot yield that many different texts.
    """
    maker = Maker(pool, rng)

    def draw(number: int) -> Pair:
        channel = CHANNELS[number % len(CHANNELS)]
        kind = maker.pick(KINDS)
        attack = _attack(maker, channel)
        note = draw_note(maker, "en", words=len(attack.text.split()))
        wear = _wear(maker, kind, channel)
        return _pair(f"{kind}_{channel}", channel, attack, note.text, wear)

    return distinct_pairs(draw, count)


def _pair(kind: str, channel: str, attack: Payload, note: str, wear: Wear) -> Pair:
    text, payload = wear(attack.text)
    partner, _ = wear(note)
    group = f"gen_worn:{attack.gid}"
    innocent = "hard_negative" if channel == "user" else "benign"
    return (
        Row(text, "injection", f"gen_worn_{kind}", channel, group, payload, lang="en"),
        Row(partner, innocent, f"gen_worn_benign_{kind}", channel, group, lang="en"),
    )


def _attack(maker: Maker, channel: str) -> Payload:
    """An attack in English that is one without anything around it."""
    for _ in range(_TRIES):
        attack = draw_attack(maker, "prompt" if channel == "user" else "bare")
        if attack.lang == "en" and len(attack.text.split()) >= 4:
            return attack
    raise RuntimeError(f"no attack in English in {_TRIES} draws")


def _wear(maker: Maker, kind: str, channel: str) -> Wear:
    """Draws what is done to a text, once, so that it can be done to an attack and to its partner."""
    seed = int(maker.rng.integers(1 << 40))
    swaps = kind == "swapped" or maker.chance(_ALSO_SWAPPED)
    before = _padding(maker, channel) if kind in ("front", "around") else ""
    after = _padding(maker, channel) if kind in ("back", "around") else ""
    filler = _padding(maker, channel) if kind == "parted" else ""
    joint, gap = maker.pick(phrases("worn")["joints"]), maker.pick((" ", "\n", "\n\n"))

    def wear(text: str) -> tuple[str, str]:
        chance = np.random.default_rng(seed)
        said = swapped(text, chance) if swaps else text
        if filler:
            said = _parted(said, f"{joint}{gap}{filler}{gap}", chance)
        return gap.join(part for part in (before, said, after) if part), said

    return wear


def swapped(text: str, rng: np.random.Generator) -> str:
    """Other words for some of those in the bank, in the capitals of the old ones."""
    table = phrases("worn")["swaps"]

    def other(found: re.Match[str]) -> str:
        word = found.group()
        choices = table.get(word.lower())
        if not choices or rng.random() > _SWAPPED:
            return word
        new = str(choices[int(rng.integers(len(choices)))])
        if word.isupper() and len(word) > 1:
            return new.upper()
        return new[0].upper() + new[1:] if word[0].isupper() else new

    return _WORD.sub(other, text)


def _parted(text: str, filler: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    at = int(rng.integers(1, len(words))) if len(words) > 1 else 1
    return f"{' '.join(words[:at])}{filler}{' '.join(words[at:])}".strip()


def _padding(maker: Maker, channel: str) -> str:
    """A few harmless sentences of a channel, in part from its rows."""
    if channel == "user":
        bank = phrases("worn")["user"]
        said = [maker.pick(bank) for _ in range(maker.between(1, 3))]
    else:
        said = maker.sentences(1, 4)
    if maker.chance(0.5):
        said = _of_a_row(maker, channel) or said
    text = " ".join(dict.fromkeys(said))
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0]


def _of_a_row(maker: Maker, channel: str) -> list[str]:
    """The beginning of a benign row; nothing where there is none."""
    try:
        words = maker.pool.carriers(channel, maker.rng).text.split()
    except LookupError:
        return []
    return [" ".join(words[: maker.between(8, 50)])]
