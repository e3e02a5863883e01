"""Tasks behind a fanfare: the partner has the same first words in the same place, and tells people something."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alknet_firewall.compile.generators import summons
from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.rows import Row

POOL = Pool([Row("The ferry leaves at nine. Dogs travel free.\n" * 40, "benign", "ferries", "document")])
COUNT = 800


def rows(pool: Pool = POOL, seed: int = 5, count: int = COUNT) -> list[Row]:
    return list(summons.generate(pool, np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=60) == made[:60] and rows(seed=6, count=60) != made[:60]
    assert len(rows(count=7)) == 7 and rows(count=0) == []
    assert len(rows(Pool([]), count=50)) == 50


def test_no_duplicates_and_nothing_unfilled(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    assert not [row.text for row in made if re.search(r"\{[A-Za-z_]+\}", row.text)]


def test_the_partner_stands_in_the_same_place(made: list[Row]) -> None:
    for attack, partner in zip(made[::2], made[1::2], strict=True):
        assert (attack.label, partner.label) == ("injection", "benign")
        assert (attack.channel, attack.gid, attack.lang) == (partner.channel, partner.gid, partner.lang)
        assert attack.payload in attack.text and not partner.payload
        assert attack.source.startswith("gen_summons_document_") and "gen_summons_benign_" in partner.source


def test_single_words_tell_little(made: list[Row]) -> None:
    sides = [[row.text.lower() for row in made[side::2]] for side in (0, 1)]
    for word in ("below", "task", "mission", "assignment", "attention", "important", "urgent"):
        attacks, partners = (np.mean([word in text for text in side]) for side in sides)
        assert 0.2 < attacks / partners < 6, word
    lengths = [np.median([len(text) for text in side]) for side in sides]
    assert 0.85 < lengths[0] / lengths[1] < 1.2


def test_a_question_never_stands_alone(made: list[Row]) -> None:
    questions = [row for row in made if row.source == "gen_summons_document_question"]
    assert questions and all(row.text != row.payload for row in questions)
