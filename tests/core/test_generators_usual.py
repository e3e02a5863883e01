"""Everyday text with the words of attacks: in every channel, beside orders as short."""

from __future__ import annotations

import re
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


def test_as_many_of_each_side_in_every_channel(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    found = Counter((row.label == "injection", row.channel) for row in made)
    assert found == {(side, channel): COUNT // 8 for side in (True, False) for channel in CHANNELS}
    assert {row.label for row in made} == {"injection", "hard_negative", "benign"}


def test_no_slot_is_left_open(made: list[Row]) -> None:
    assert not [row.text for row in made if "{" in row.text.replace('{"', "")]


def test_length_tells_little(made: list[Row]) -> None:
    pairs = list(zip(made[::2], made[1::2], strict=True))
    for noted in (False, True):
        own = [pair for pair in pairs if (pair[1].label == "benign") == noted]
        medians = [float(np.median([len(pair[side].text) for pair in own])) for side in (0, 1)]
        assert 0.5 < medians[0] / medians[1] < 2
        assert noted or max(len(row.text) for pair in own for row in pair) < 200


def test_a_note_and_its_partner_differ_in_what_is_asked(made: list[Row]) -> None:
    notes = [pair for pair in zip(made[::2], made[1::2], strict=True) if pair[1].label == "benign"]
    assert len(notes) > COUNT // 8 and {attack.channel for attack, _ in notes} == set(CHANNELS) - {"user"}
    for attack, partner in notes:
        before, after = attack.text.split(attack.payload, 1)
        assert partner.text.startswith(before) and partner.text.endswith(after) and not partner.payload


def shares(rows: list[Row], pattern: str) -> float:
    return float(np.mean([bool(re.search(pattern, row.text, re.IGNORECASE)) for row in rows]))


@pytest.mark.parametrize("noted", [False, True])
def test_addresses_tell_nothing(made: list[Row], noted: bool) -> None:
    pairs = [pair for pair in zip(made[::2], made[1::2], strict=True) if (pair[1].label == "benign") == noted]
    kinds = [pair for pair in pairs if noted or pair[0].channel == "user"]
    for pattern in (r"@|https?://|www\.", r"\bsend\b|\bforward\b|\bmail\b"):
        attacks, partners = ([pair[side] for pair in kinds] for side in (0, 1))
        assert 0.3 < shares(attacks, pattern) / shares(partners, pattern) < 3


def test_words_that_override_stand_on_both_sides_of_notes(made: list[Row]) -> None:
    pairs = [pair for pair in zip(made[::2], made[1::2], strict=True) if pair[1].label == "benign"]
    for word in ("ignore", "disregard", "please", "task", "system"):
        attacks, partners = ([pair[side] for pair in pairs] for side in (0, 1))
        assert 0.2 < shares(attacks, word) / shares(partners, word) < 5, word


def test_both_sides_use_the_words(made: list[Row]) -> None:
    for word in ("prompt", "instructions", "ignore", "system"):
        short = [pair for pair in zip(made[::2], made[1::2], strict=True) if pair[1].label != "benign"]
        labels = {row.label for pair in short for row in pair if word in row.text.lower()}
        assert labels == {"injection", "hard_negative"}
