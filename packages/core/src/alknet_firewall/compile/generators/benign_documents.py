"""Benign documents and tool results of many kinds, several of which guards wrongly block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.generators.benign_kinds import FAMILIES, Kind, bank, draw, words_in
from alknet_firewall.compile.generators.benign_slots import with_repeats
from alknet_firewall.compile.rows import Row

_SOURCE = "gen_benign_documents"
_LIMITS = {"document": (8, 400), "tool": (3, 400)}
_LONG = (40, 360)  # words that a lengthened text aims at
_MOST_PARTS = 12
_BETWEEN = ("\n", "\n\n", "\n\n---\n\n", "\n\n\n", "\n* * *\n")
_WORLD = "benign_documents_world"


@lru_cache
def kinds() -> tuple[Kind, ...]:
    """All kinds of document and tool text."""
    words = phrases("benign_documents_banks")
    return (
        *bank("benign_documents_prose", channel="document", extra=words),
        *bank("benign_documents_agents", channel="document", label="hard_negative", extra=words),
        *bank("benign_documents_machine", channel="tool", extra=words),
        *bank("benign_documents_code", channel="document", extra=words),
        *_world(),
    )


def _world() -> Iterator[Kind]:
    """Kinds whose templates hold for every language; each language brings its own sentences."""
    sections = phrases(_WORLD)
    slots_of = {
        lang: with_repeats(words, sections["repeats"])
        for lang, words in sections.items()
        if lang not in ("kinds", "repeats")
    }
    for name, templates in sections["kinds"].items():
        for family, languages in FAMILIES.items():
            pairs = tuple((lang, text) for lang in languages if lang in slots_of for text in templates)
            channels = ("tool", "document") if name == "record" else ("document",)
            if pairs:
                yield Kind(f"world_{name}_{family}", "benign", channels, pairs, {}, slots_of=slots_of)


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different benign rows of the channels `document` and `tool`.

    Args:
        pool: Not used: these texts are made up whole.
        rng: The source of chance; the same state gives the same rows.
        count: How many rows.

    Raises:
        ValueError: There are not that many different rows.
    """
    del pool
    by_source = {f"{_SOURCE}_{kind.name}": kind for kind in kinds()}

    def finish(row: Row) -> Row:
        return _lengthened(row, by_source[row.source], rng)

    return draw(kinds(), _SOURCE, count, rng, finish, _LIMITS)


def _lengthened(row: Row, kind: Kind, rng: np.random.Generator) -> Row:
    """Puts more texts of the same kind and language after every second row: real documents are often long."""
    if rng.random() < 0.5:
        return row
    wanted = math.exp(rng.uniform(*np.log(_LONG)))
    between = _BETWEEN[rng.integers(len(_BETWEEN))]
    text, words = row.text, words_in(row.text)
    for _ in range(_MOST_PARTS):
        if words >= wanted:
            break
        more = kind.sample(_SOURCE, rng)
        added = words_in(more.text) + 1
        if more.lang == row.lang and words + added <= _LIMITS[row.channel][1]:
            text, words = text + between + more.text, words + added
    return replace(row, text=text)


def sample(rng: np.random.Generator, most_words: int) -> str:
    """Draws one document of at most `most_words` words, for a request that comes with a pasted text."""
    choices = [kind for kind in kinds() if "document" in kind.channels and kind.label == "benign"]
    while True:
        text = choices[int(rng.integers(len(choices)))].sample(_SOURCE, rng).text
        if len(text.split()) <= most_words:
            return text
