"""Figures of an evaluation: against scikit-learn, against direct counts, and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet_firewall.evaluate.metrics import auroc, equal_weights, rankings, threshold, wilson

# Few different values, so that ties are common.
SCORES = st.lists(st.integers(0, 12).map(lambda i: i / 12), min_size=1, max_size=60)
WEIGHTED = st.lists(st.tuples(st.integers(0, 12).map(float), st.integers(1, 5)), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(WEIGHTED, WEIGHTED)
def test_auroc_equals_scikit_learn(attacks: list[tuple[float, int]], benign: list[tuple[float, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = np.array(attacks), np.array(benign)
    labels = np.concatenate([np.ones(len(a)), np.zeros(len(b))])
    scores, weights = np.concatenate([a[:, 0], b[:, 0]]), np.concatenate([a[:, 1], b[:, 1]])
    expected = metrics.roc_auc_score(labels, scores, sample_weight=weights)
    assert auroc(a[:, 0], b[:, 0], a[:, 1], b[:, 1]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(SCORES, SCORES)
def test_auroc_turns_around_with_the_sides(attacks: list[float], benign: list[float]) -> None:
    assert auroc(attacks, benign) == pytest.approx(1 - auroc(benign, attacks), abs=1e-12)
    assert auroc(attacks, attacks) == pytest.approx(0.5)


def test_auroc_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to rank"):
        auroc([], [0.5])
    with pytest.raises(ValueError, match="nothing to rank"):
        auroc([0.5], [0.5], benign_weights=[0.0])


@settings(max_examples=200, deadline=None)
@given(WEIGHTED, st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.5, 1.0]))
def test_threshold_keeps_the_rate_and_is_the_lowest_that_does(
    benign: list[tuple[float, int]], rate: float
) -> None:
    scores, weights = np.array(benign).T
    limit = threshold(scores, rate, weights)
    shares = weights / weights.sum()
    assert shares[scores > limit].sum() <= rate + 1e-9
    lower = scores[scores < limit]
    if len(lower):
        assert shares[scores > lower.max()].sum() > rate


def test_threshold_on_round_numbers() -> None:
    scores = np.arange(100) / 100
    assert threshold(scores, 0.01) == 0.98  # one of a hundred lies above
    assert threshold(scores, 0.05) == 0.94
    assert threshold(scores, 0.0) == 0.99
    assert threshold(scores, 1.0) == 0.0


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=50))
def test_groups_weigh_the_same(groups: list[str]) -> None:
    weights = equal_weights(groups)
    for name in set(groups):
        own = [w for w, group in zip(weights, groups) if group == name]
        assert sum(own) == pytest.approx(1 / len(set(groups)))
        assert max(own) == min(own)


def test_wilson_against_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20.
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = wilson(hits, n)
        assert (found.value, found.low, found.high) == pytest.approx((hits / n, low, high), abs=5e-5)
    assert wilson(20, 20).high == 1.0
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)


def test_rankings_agree_with_the_plain_figures() -> None:
    rng = np.random.default_rng(0)
    benign = np.round(rng.normal(size=300), 1)
    sources = ["large"] * 250 + ["small"] * 50
    attacks = {"easy": np.round(rng.normal(3, 1, 80), 1), "hard": np.round(rng.normal(0.5, 1, 40), 1)}
    found = rankings(attacks, benign, sources, averages={"mean": ["easy", "hard"]}, replicates=200)
    weights = equal_weights(sources)
    for name, scores in attacks.items():
        ranking = found[name]
        assert ranking.auroc.value == pytest.approx(auroc(scores, benign, None, weights), abs=1e-12)
        for rate, recall in ranking.recall.items():
            assert recall.value == pytest.approx((scores > threshold(benign, rate, weights)).mean())
            assert 0 <= recall.low <= recall.high <= 1
        assert ranking.auroc.low < ranking.auroc.value < ranking.auroc.high
    assert found["mean"].auroc.value == pytest.approx(
        (found["easy"].auroc.value + found["hard"].auroc.value) / 2
    )
    widths = {name: ranking.auroc.high - ranking.auroc.low for name, ranking in found.items()}
    assert widths["mean"] < widths["hard"]


def test_rankings_are_the_same_for_the_same_seed() -> None:
    rng = np.random.default_rng(1)
    attacks, benign, sources = {"a": rng.normal(1, 1, 50)}, rng.normal(size=80), ["x"] * 80
    first = rankings(attacks, benign, sources, replicates=50, seed=3)
    assert first == rankings(attacks, benign, sources, replicates=50, seed=3)
    assert first != rankings(attacks, benign, sources, replicates=50, seed=4)


def test_intervals_hold_what_they_promise() -> None:
    truth = 0.76025  # of normal attacks one standard deviation above benign text: Phi(1 / sqrt(2))
    rng = np.random.default_rng(2)
    inside = 0
    for i in range(100):
        found = rankings(
            {"a": rng.normal(1, 1, 60)}, rng.normal(size=120), ["x"] * 120, replicates=200, seed=i
        )
        inside += found["a"].auroc.low <= truth <= found["a"].auroc.high
    assert inside >= 87  # 95 expected; 87 is 3.7 standard deviations below
