"""Prompts in good faith that look adversarial: varied, of many lengths and languages, and a fifth on other channels."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alknet_firewall.compile.generators import user_prompts
from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.generators.benign_kinds import words_in
from alknet_firewall.compile.rows import Row

AROUND = "The ferry leaves at nine. Tickets are sold on board. " * 20
POOL = Pool([Row(AROUND, "benign", "ferries", channel) for channel in ("document", "tool")])
COUNT = 3000
UNFILLED = re.compile(r"\{[A-Za-z_]+\}")


def rows(pool: Pool = POOL, seed: int = 0, count: int = COUNT) -> list[Row]:
    return list(user_prompts.generate(pool, np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=100) == made[:100]
    assert rows(seed=1, count=100) != made[:100]


def test_labels_and_channels(made: list[Row]) -> None:
    assert {(row.label, row.channel) for row in made} == {
        ("hard_negative", "user"),
        ("benign", "document"),
        ("benign", "tool"),
    }
    assert sum(row.channel == "user" for row in made) == COUNT * 4 // 5
    assert not any(row.payload for row in made)


def test_no_duplicates_and_nothing_unfilled(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    assert not [row.text for row in made if UNFILLED.search(row.text) or "{{" in row.text]


def test_few_sequences_of_eight_words_come_twice(made: list[Row]) -> None:
    texts = [row.text.split() for row in made if row.channel == "user" and "ferry" not in row.text][:500]
    grams = [tuple(words[at : at + 8]) for words in texts for at in range(len(words) - 7)]
    assert len(set(grams)) >= 0.8 * len(grams)


def test_many_lengths(made: list[Row]) -> None:
    words = [words_in(row.text) for row in made if row.channel == "user"]
    assert min(words) <= 10 and 300 < max(words) <= 420
    assert sum(size >= 60 for size in words) > 300


def test_languages(made: list[Row]) -> None:
    assert {row.lang for row in made} == {"en", *phrases("user_prompts_world")}
    assert set(phrases("user_prompts_world")) == {*"de fr es it pt nl ru zh ja ko".split()}


def test_works_without_a_pool() -> None:
    assert len(rows(Pool([]), count=200)) == 200
