"""What people ask in good faith and guards take for an attack: scenes, roles, hard subjects, odd and ornate wording.

A fifth is text on other channels that reads like an order to nobody: mails, notes, tables and news with questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.generators.benign_kinds import Kind, bank, draw
from alknet_firewall.compile.generators.benign_slots import with_repeats
from alknet_firewall.compile.generators.carriers import cut
from alknet_firewall.compile.generators.lookalike_places import placed
from alknet_firewall.compile.generators.lookalike_tables import TABLES
from alknet_firewall.compile.rows import Row

_SOURCE = "gen_user_prompts"
_LIMITS = {"user": (4, 420), "document": (5, 1500), "tool": (5, 1500)}
_OTHER = 5  # every so many-th row is on another channel than `user`
_PLACED = 0.3  # share of documents and tool results that stand inside another text
_PASTED = 0.12  # share of short prompts with a text of the pool below
_PASTED_WORDS = (20, 250)  # of such a text, drawn evenly on a log scale
_SHORT = 60  # words
_LEADS = (
    "Here is what I have so far:",
    "For background:",
    "This is what set me thinking:",
    "Text:",
    "Material:",
)


@lru_cache
def kinds() -> tuple[tuple[Kind, ...], tuple[Kind, ...]]:
    """All kinds: those of users, and those of documents and tool results."""
    shared = {"words": {**phrases("user_prompts_words")["words"], **TABLES}}
    users = [
        kind
        for name in ("user_prompts_roles", "user_prompts_subjects", "user_prompts_odd")
        for kind in bank(name, channel="user", label="hard_negative", extra=shared)
    ]
    world = phrases("user_prompts_world")
    for lang, sections in sorted(world.items()):
        templates = tuple((lang, text) for text in sections["t"])
        slots = with_repeats({"n": ["3", "5", "8", "10"], **sections}, {})
        users.append(Kind(f"world_{lang}", "hard_negative", ("user",), templates, slots))
    return tuple(users), tuple(bank("user_prompts_documents", channel="document", extra=shared))


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different harmless rows, four of five on channel `user`.

    Args:
        pool: Benign documents and tool results: pasted below some prompts, and around some texts.
        rng: The source of chance; the same state gives the same rows.
        count: How many rows.

    Raises:
        ValueError: There are not that many different rows.
    """

    def finish(row: Row) -> Row:
        if row.channel != "user":
            return placed(row, pool, rng) if rng.random() < _PLACED else row
        return replace(row, text=_typed(_pasted(row, pool, rng), rng))

    users, others = (draw(group, _SOURCE, count, rng, finish, _LIMITS) for group in kinds())
    for number in range(count):
        yield next(others if number % _OTHER == _OTHER - 1 else users)


def _pasted(row: Row, pool: Pool, rng: np.random.Generator) -> str:
    """The text of `row`, at times with a text of the pool below."""
    if row.lang != "en" or len(row.text.split()) > _SHORT or rng.random() >= _PASTED:
        return row.text
    try:
        carrier = pool.carriers("document", rng)
    except LookupError:
        return row.text
    words = int(np.exp(rng.uniform(*np.log(_PASTED_WORDS))))
    lead = _LEADS[int(rng.integers(len(_LEADS)))]
    return f"{row.text}\n\n{lead}\n{''.join(cut(carrier.text, words, rng)).strip()}"


def _typed(text: str, rng: np.random.Generator) -> str:
    """Types `text` the way people do: mostly as it is, else without capitals, or without a full stop."""
    way = int(rng.choice(3, p=[0.85, 0.08, 0.07]))
    return (text, text.lower(), text.rstrip(".!"))[way]
