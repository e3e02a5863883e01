"""Attacks in other languages than English, each with a harmless partner in the same language and place.

English has by far the most attacks that anybody collected. A detector that sees foreign text only on the harmless side
learns that foreign text is harmless; here both sides come in each language, in the same number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs, fill, phrases
from alknet_firewall.compile.rows import Row

LANGUAGES: Final = (
    "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "id", "vi", "ru", "zh", "ja", "ko", "ar", "hi",
)  # fmt: skip
_SLOTS: Final = {
    "name": ("Anna", "Marco", "Yuki", "Olga", "Ahmed", "Priya", "Lena", "Jonas", "Mei", "Tomasz", "Carla", "Emre"),
    "email": ("office@example.com", "k.berg@example.org", "desk@mail.example", "info@shop.example", "a.s@example.net"),
    "url": ("https://example.com/a1", "http://files.example.net/get", "www.example.org/form", "https://t.example/x7"),
}  # fmt: skip
_MARKS: Final = ("", "", "", "*** ", "[!] ", "-- ", "# ", "SYSTEM: ", "<!-- ", "AI: ", "NB: ")
_ADDRESS: Final = re.compile(r"@|://|www\.")
_CLOSES: Final = {"<!-- ": " -->", "*** ": " ***"}


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different rows, attacks and their harmless partners in turn.

    Args:
        pool: Not drawn from: its rows are mostly English.
        rng: Source of all randomness: the same state yields the same rows.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: The banks cannot yield that many different texts.
    """

    def draw(number: int) -> Pair:
        return _KINDS[int(rng.integers(len(_KINDS)))](_Voice(LANGUAGES[number % len(LANGUAGES)], rng))

    return distinct_pairs(draw, count)


class _Voice:
    """Phrases of one language."""

    def __init__(self, language: str, rng: np.random.Generator) -> None:
        self.language, self.rng = language, rng
        self._bank: Mapping[str, Sequence[str]] = phrases(f"world_{language}")
        self._slots = {**_SLOTS, **{slot: self._bank[slot] for slot in ("word", "topic", "thing")}}

    def say(self, *kinds: str, like: str = "") -> str:
        """A phrase of one of the kinds, its slots filled; one with an address in it where `like` has one.

        Attacks name addresses. Were their partners to name fewer, every address would count as a sign of an attack.
        """
        bank = self._bank[self.pick(kinds)]
        if _ADDRESS.search(like):
            bank = [phrase for phrase in bank if "{url}" in phrase or "{email}" in phrase] or bank
        return fill(self.pick(bank), self._slots, self.rng)

    def pick(self, choices: Sequence[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def join(self, *parts: str) -> str:
        """Sentences one after the other, as people part them."""
        said = [part.strip() for part in parts if part.strip()]
        gap = self.pick((" ", " ", "\n", "\n\n"))
        stopped = [part if part[-1] in ".!?…。！？।؟:" or gap != " " else f"{part}." for part in said[:-1]]
        return gap.join([*stopped, *said[-1:]])

    def worn(self, text: str) -> str:
        """As people type: now and then small, loud, or without its last sign."""
        roll = self.rng.random()
        if roll < 0.1:
            return text.lower()
        if roll < 0.15:
            return text.upper()
        return text.rstrip(".。") if roll < 0.3 else text


def _takeover(voice: _Voice) -> Pair:
    """A user turns the model from its rules, or asks for them; the partner turns from what was said before."""
    said = [voice.say("override")]
    if voice.chance(0.7):
        said.append(voice.say("goal", "goal", "leak", "request"))
    else:
        said = [voice.say("leak")] if voice.chance(0.6) else said
    opened = [voice.say("benign_user")] if voice.chance(0.3) else []
    attack = voice.worn(voice.join(*said))
    more = [voice.say("benign_user", like=attack)] if len(said) > 1 else []
    partner = voice.worn(voice.join(voice.say("benign_followup"), *more))
    first, second = (voice.join(*opened, text) for text in (attack, partner))
    return _pair(voice, "takeover", "injection", "user", first, second, attack)


def _unlocked(voice: _Voice) -> Pair:
    """A user unlocks the model by a frame; the partner asks for something awkward and harmless."""
    attack = voice.join(voice.say("persona"), voice.say("request"))
    partner = voice.join(
        *(voice.say("benign_user", like=attack) for _ in range(2 if voice.chance(0.6) else 1))
    )
    return _pair(voice, "unlocked", "jailbreak", "user", attack, partner, attack)


def _planted(voice: _Voice) -> Pair:
    """A document holds an order for whoever reads it for the user; the partner's is for people."""
    before = [voice.say("carrier") for _ in range(int(voice.rng.integers(0, 4)))]
    after = [voice.say("carrier") for _ in range(int(voice.rng.integers(0, 3)))]
    said = [voice.say("override"), voice.say("goal", "leak")] if voice.chance(0.55) else [voice.say("aside", "goal")]
    mark = voice.pick(_MARKS)
    order = voice.join(*said)
    partner = voice.join(*(voice.say("benign_order", like=order) for _ in said))
    payload, innocent = (f"{mark}{text}{_CLOSES.get(mark, '')}" for text in (order, partner))
    channel = voice.pick(("document", "document", "tool"))
    gap = voice.pick(("\n", "\n\n", " "))
    whole, harmless = (gap.join([*before, text, *after]) for text in (payload, innocent))
    return _pair(voice, "planted", "injection", channel, whole, harmless, payload)


def _pair(
    voice: _Voice, kind: str, label: str, channel: str, attack: str, partner: str, payload: str
) -> Pair:
    """An attack and its partner; each kind and language is a source, as sources weigh the same."""
    group = f"gen_world:{kind}:{voice.language}:{int(voice.rng.integers(1 << 40))}"
    innocent = "hard_negative" if channel == "user" else "benign"
    return (
        Row(attack, label, f"gen_world_{kind}_{voice.language}", channel, group, payload, "", voice.language),
        Row(partner, innocent, f"gen_world_benign_{kind}_{voice.language}", channel, group, "", "", voice.language),
    )


_KINDS: Final[Sequence[Callable[[_Voice], Pair]]] = (_takeover, _takeover, _unlocked, _planted, _planted)
