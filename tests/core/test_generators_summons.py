"""Tasks behind a fanfare: the partner has the same first words in the same place, and tells people something."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alknet_firewall.compile.generators import summons
from alknet_firewall.compile.generators.base import Pool, phrases
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


def test_first_words_and_lengths_tell_nothing(made: list[Row]) -> None:
    def share(alarm: str, side: int) -> float:
        return float(np.mean([alarm in row.text for row in made[side::2]]))

    alarms = [alarm for alarm in phrases("summons")["alarms"] if len(alarm) > 8]
    counts = np.array([[share(alarm, side) for side in (0, 1)] for alarm in alarms]).sum(axis=0)
    assert 0.8 < counts[0] / counts[1] < 1.25
    lengths = [np.median([len(row.text) for row in made[side::2]]) for side in (0, 1)]
    assert 0.85 < lengths[0] / lengths[1] < 1.2
