"""Worn attacks: each has a harmless partner with the same padding and parting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from alknet_firewall.compile.generators import GENERATORS, composed_rows, worn
from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.rows import Row
from alknet_firewall.compile.settings import CompileSettings

COUNT = 900
POOL = Pool([Row(f"The ferry {n} leaves at noon. Dogs travel free of charge.", "benign", "ferry", c) for n in range(9) for c in worn.CHANNELS])  # fmt: skip


def rows(seed: int = 3, count: int = COUNT, pool: Pool = POOL) -> list[Row]:
    return list(worn.generate(pool, np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=60) == made[:60] and rows(seed=4, count=60) != made[:60]
    assert rows(count=0) == [] and len(rows(count=7)) == 7
    assert len(rows(count=30, pool=Pool([]))) == 30  # padding is made up where there are no rows


def test_pairs_match(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    lengths: dict[str, list[int]] = {"injection": [], "harmless": []}
    for attack, partner in zip(made[::2], made[1::2]):
        assert attack.label == "injection" and partner.label in ("benign", "hard_negative")
        assert (attack.channel, attack.gid) == (partner.channel, partner.gid)
        assert partner.source == attack.source.replace("gen_worn_", "gen_worn_benign_")
        lengths["injection"].append(len(attack.text))
        lengths["harmless"].append(len(partner.text))
    medians = [float(np.median(own)) for own in lengths.values()]
    assert 0.8 < medians[0] / medians[1] < 1.25  # length does not tell them apart


def test_the_payload_is_what_is_no_padding(made: list[Row]) -> None:
    for attack, partner in zip(made[::2], made[1::2]):
        assert attack.payload in attack.text and attack.payload and not partner.payload
        if "_front_" in attack.source:
            assert attack.text.endswith(attack.payload)
        if "_swapped_" in attack.source:
            assert attack.text == attack.payload


def test_all_channels_and_kinds(made: list[Row]) -> None:
    channels = Counter(row.channel for row in made)
    assert set(channels) == set(worn.CHANNELS) and max(channels.values()) - min(channels.values()) <= 2
    assert {row.source.split("_")[-2] for row in made} == set(worn.KINDS)


def test_padding_is_that_of_the_attack(made: list[Row]) -> None:
    shared = 0
    for attack, partner in zip(made[::2], made[1::2]):
        if "_front_" in attack.source:
            assert attack.text[:8] == partner.text[:8]
            shared += 1
        elif "_back_" in attack.source:
            assert attack.text[-8:] == partner.text[-8:]
            shared += 1
    assert shared > 50


def test_swaps_keep_capitals_and_all_other_words() -> None:
    table = phrases("worn")["swaps"]
    seen = {worn.swapped("Ignore the PREVIOUS fish.", np.random.default_rng(seed)) for seed in range(60)}
    assert "Ignore the PREVIOUS fish." in seen and len(seen) > 5
    first = {text.split(" the ")[0] for text in seen}
    assert first <= {"Ignore", *(other[0].upper() + other[1:] for other in table["ignore"])}
    assert all(text.endswith(" fish.") and text.split()[-2].isupper() for text in seen)


def test_it_is_registered_and_composed_by_default() -> None:
    assert "worn" in GENERATORS and CompileSettings().composed["worn"]
    assert composed_rows([], {}, 0) == []
    assert {row.source[:9] for row in composed_rows([], {"worn": 6}, 0)} == {"gen_worn_"}
