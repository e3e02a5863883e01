"""Attacks without trigger words: each has a harmless partner in its place, and the payload is where it is said to be."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alknet_firewall.compile.generators import GENERATORS, composed_rows, tasks
from alknet_firewall.compile.generators.base import Pool, phrases
from alknet_firewall.compile.rows import Row

AROUND = "The ferry leaves at nine. Tickets are sold on board. Dogs travel free.\n" * 40
POOL_ROWS = [Row(AROUND, "benign", "ferries", channel) for channel in ("document", "tool")]
POOL = Pool(POOL_ROWS)
COUNT = 3000
UNFILLED = re.compile(r"\{[A-Za-z_]+\}")


def rows(pool: Pool = POOL, seed: int = 5, count: int = COUNT) -> list[Row]:
    return list(tasks.generate(pool, np.random.default_rng(seed), count))


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows()


@pytest.fixture(scope="module")
def pairs(made: list[Row]) -> list[tuple[Row, Row]]:
    return list(zip(made[::2], made[1::2], strict=True))


def test_same_seed_same_rows(made: list[Row]) -> None:
    assert rows(count=200) == made[:200]
    assert rows(seed=6, count=200) != made[:200]
    assert len(rows(count=7)) == 7 and rows(count=0) == []


def test_comes_after_the_generators_whose_states_are_kept() -> None:
    assert list(GENERATORS)[-6:] == ["tasks", "user_prompts", "usual", "world", "worn", "summons"]


def test_no_duplicates_and_nothing_unfilled(made: list[Row]) -> None:
    assert len({row.text for row in made}) == COUNT
    assert not [row.text for row in made if UNFILLED.search(row.text) or "\x00" in row.text]


def test_attacks_and_partners_alternate(pairs: list[tuple[Row, Row]]) -> None:
    for attack, partner in pairs:
        assert attack.label == ("jailbreak" if "latent" in attack.source else "injection")
        assert partner.label in ("benign", "hard_negative")
        assert (attack.channel, attack.gid, attack.lang) == (partner.channel, partner.gid, partner.lang)
        assert attack.payload and not partner.payload
        assert partner.source.startswith("gen_tasks_benign_") and "_benign_" not in attack.source


def test_payload_is_in_the_text_and_not_in_the_partner(pairs: list[tuple[Row, Row]]) -> None:
    for attack, partner in pairs:
        assert attack.payload in attack.text
        assert attack.payload not in partner.text


def test_every_kind_channel_and_language_is_present(made: list[Row]) -> None:
    attacks = {row.source.removeprefix("gen_tasks_") for row in made if row.payload}
    documents = {f"document_{kind}" for kind in phrases("tasks_documents")["attack"]} | {"document_world"}
    agents = {f"agent_{kind}" for kind in phrases("tasks_agent")} - {"agent_slots", "agent_attack_voices"}
    hijacks = {f"hijack_{kind}" for kind in phrases("tasks_hijack")["attack"]}
    latent = {f"latent_{kind}" for kind in [*phrases("tasks_latent")["frames"], "world"]}
    assert attacks == documents | agents | hijacks | latent
    assert {row.channel for row in made} == {"user", "document", "tool"}
    assert len({row.lang for row in made}) >= 11


def test_lengths_tell_nothing(pairs: list[tuple[Row, Row]]) -> None:
    attacks, partners = ([len(pair[side].text) for pair in pairs] for side in (0, 1))
    assert 0.85 < np.median(attacks) / np.median(partners) < 1.2
    words = [len(attack.payload.split()) for attack, _ in pairs if attack.source.startswith("gen_tasks_doc")]
    assert np.percentile(words, 10) >= 5 and np.median(words) < 30


def test_carriers_of_all_sizes_and_places(made: list[Row]) -> None:
    placed = [row for row in made if row.payload and row.channel != "user"]
    around = [len(row.text.split()) - len(row.payload.split()) for row in placed]
    assert min(around) == 0 and max(around) > 500
    assert {"start", "middle", "end"} <= {row.position for row in placed}


def test_questions_never_stand_alone(made: list[Row]) -> None:
    questions = [row for row in made if row.source == "gen_tasks_document_question" and row.channel != "user"]
    assert questions and all(row.text != row.payload for row in questions)


def test_works_without_a_pool_and_says_what_was_borrowed() -> None:
    assert len(rows(Pool([]), count=100)) == 100
    composed = composed_rows(POOL_ROWS, {"tasks": 60}, seed=0)
    assert len(composed) == 60
    assert any(row.borrowed == ("ferries",) for row in composed)
