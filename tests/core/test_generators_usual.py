"""Everyday text with the words of attacks: in every channel, beside orders as short."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from alknet_firewall.compile.generators import usual
from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.rows import Row
from alknet_firewall.verdict import CHANNELS

COUNT = 2000


def rows(seed: int = 3, count: int = COUNT) -> list[Row]:
    return list(usual.generate(Pool([]), np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=60) == made[:60] and rows(seed=4, count=60) != made[:60]
    assert rows(count=0) == [] and len(rows(count=7)) == 7


def test_as_many_of_each_in_every_channel(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    found = Counter((row.label, row.channel) for row in made)
    assert found == {(label, channel): COUNT // 8 for label in ("injection", "hard_negative") for channel in CHANNELS}


def test_no_slot_is_left_open(made: list[Row]) -> None:
    assert not [row.text for row in made if "{" in row.text.replace('{"', "")]


def test_length_tells_little(made: list[Row]) -> None:
    lengths = {label: [len(row.text) for row in made if row.label == label] for label in ("injection", "hard_negative")}
    medians = [float(np.median(own)) for own in lengths.values()]
    assert 0.5 < medians[0] / medians[1] < 2
    assert max(map(max, lengths.values())) < 200


def test_both_sides_use_the_words(made: list[Row]) -> None:
    for word in ("prompt", "instructions", "ignore", "system"):
        assert {row.label for row in made if word in row.text.lower()} == {"injection", "hard_negative"}
