"""Benign requests and answers: what users ask in good faith, and what an assistant says to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from alknet_firewall.compile.generators.base import Pool, fill, phrases
from alknet_firewall.compile.generators.benign_documents import sample
from alknet_firewall.compile.generators.benign_kinds import FAMILIES, Kind, bank, draw
from alknet_firewall.compile.generators.benign_slots import with_repeats
from alknet_firewall.compile.rows import Row

_SOURCE = "gen_benign"
_LIMITS = {"user": (2, 150), "response": (4, 400)}
_PASTED = "\x00"  # stands for a pasted text until the template is filled, as that text may hold braces
_PASTED_WORDS = 110
_WORLD_LABELS = {
    "followup": "hard_negative",
    "everyday": "benign",
    "trigger": "hard_negative",
    "framed": "hard_negative",
}
_STORIES = (
    "{lifepar}",
    "{bizpar}",
    "{lifepar}\n\n{lifepar}",
    "{bizlist}",
    "{techpar}",
    "{bizpar} {lifepar}",
)
_BACKGROUNDS = (
    (True, "\n\n"),
    (True, " "),
    (True, "\n\nMy question: "),
    (True, "\n---\n"),
    (False, "\n\n"),
    (False, "\n\nFor context: "),
    (False, "\n\nSome background: "),
)
_BEFORE = (
    "hi, ",
    "Hello! ",
    "Hey, ",
    "quick question: ",
    "Please help. ",
    "Hi there,\n",
    "One more thing: ",
    "ok so ",
)
_AFTER = (" Thanks!", " thank you", " thx", " pls", "\n\nThanks in advance", " :)", " Any help is welcome.")


@lru_cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of user text and of answers."""
    return (
        *bank("benign_user_daily", channel="user"),
        *bank("benign_user_work", channel="user", extra={"words": {"pasted": [_PASTED]}}),
        *bank("benign_user_long", channel="user", extra=phrases("benign_documents_banks")),
        *bank("benign_user_edge", channel="user", label="hard_negative"),
        *bank("benign_user_triggers", channel="user", label="hard_negative", prefix="trigger_"),
        *_world(),
        *bank("benign_responses", channel="response", extra=phrases("benign_documents_banks")),
    )


def _world() -> Iterator[Kind]:
    words = phrases("benign_user_world")
    for name, label in _WORLD_LABELS.items():
        for family, languages in FAMILIES.items():
            pairs = tuple((lang, text) for lang in languages for text in words[lang].get(name, []))
            if pairs:
                yield Kind(f"world_{name}_{family}", label, ("user",), pairs, with_repeats({}, {}))


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different benign rows of the channels `user` and `response`.

    Args:
        pool: Gives some of the texts that users paste, if it holds benign documents.
        rng: The source of chance; the same state gives the same rows.
        count: How many rows.

    Raises:
        ValueError: There are not that many different rows.
    """

    def finish(row: Row) -> Row:
        text = row.text
        if _PASTED in text:
            return replace(row, text=text.replace(_PASTED, _pasted(pool, rng)))
        if row.channel == "user" and row.lang == "en":
            return replace(row, text=_with_background(_in_passing(text, rng), rng))
        return row

    return draw(kinds(), _SOURCE, count, rng, finish, _LIMITS)


def _pasted(pool: Pool, rng: np.random.Generator) -> str:
    """A text that a user might paste: one from the data at hand, or a made-up one."""
    if rng.random() < 0.5:
        try:
            words = pool.carriers("document", rng).text.split(" ")
        except LookupError:
            return sample(rng, _PASTED_WORDS)
        return " ".join(words[: int(rng.integers(25, _PASTED_WORDS))])
    return sample(rng, _PASTED_WORDS)


def _with_background(text: str, rng: np.random.Generator) -> str:
    """Now and then tells a story before or after the request, so that requests are not all short."""
    if rng.random() > 0.2:
        return text
    banks = phrases("benign_documents_banks")
    slots = with_repeats(banks["words"], banks["repeats"])
    about = fill(_STORIES[rng.integers(len(_STORIES))], slots, rng)
    before, between = _BACKGROUNDS[rng.integers(len(_BACKGROUNDS))]
    return f"{about}{between}{text}" if before else f"{text}{between}{about}"


def _in_passing(text: str, rng: np.random.Generator) -> str:
    """Types `text` the way people type: now and then a greeting, a thank-you, no capitals, no full stop."""
    if "\n" not in text and rng.random() < 0.15:
        text = text.lower().rstrip(".?")
    if rng.random() < 0.08:
        text = _BEFORE[rng.integers(len(_BEFORE))] + text
    if rng.random() < 0.08:
        text += _AFTER[rng.integers(len(_AFTER))]
    return text
