"""Attacks in other languages: each has a harmless partner in its language, and every language has as many."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from alknet_firewall.compile.generators import world
from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.rows import Row

COUNT = 1600
LISTS = (
    "override", "leak", "persona", "request", "goal", "aside", "carrier",
    "benign_user", "benign_order", "benign_followup", "word", "topic", "thing",
)  # fmt: skip


def rows(seed: int = 5, count: int = COUNT) -> list[Row]:
    return list(world.generate(Pool([]), np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


@pytest.mark.parametrize("language", world.LANGUAGES)
def test_a_bank_is_whole_and_says_nothing_twice(language: str) -> None:
    bank = phrases(f"world_{language}")
    assert set(bank) == set(LISTS)
    for name in LISTS:
        assert len(bank[name]) >= 10 and len(set(bank[name])) == len(bank[name])
        assert all(phrase.strip() for phrase in bank[name])
    hostile = {phrase for name in ("override", "leak", "persona", "goal", "aside") for phrase in bank[name]}
    assert not hostile & {phrase for name in LISTS if name.startswith("benign") for phrase in bank[name]}


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=200) == made[:200] and rows(seed=6, count=200) != made[:200]
    assert len(rows(count=7)) == 7 and rows(count=0) == []


def test_languages_and_sides_are_even(made: list[Row]) -> None:
    sides = Counter((row.lang, bool(row.payload)) for row in made)
    assert len(sides) == 2 * len(world.LANGUAGES) and len(set(sides.values())) == 1


def test_pairs_share_channel_and_language_and_nothing_is_unfilled(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    for attack, partner in zip(made[::2], made[1::2]):
        assert attack.label in ("injection", "jailbreak") and partner.label in ("benign", "hard_negative")
        assert (attack.channel, attack.lang, attack.gid) == (partner.channel, partner.lang, partner.gid)
        assert attack.payload in attack.text and attack.payload not in partner.text
        assert not re.search(r"\{[a-z_]+\}", attack.text + partner.text)
