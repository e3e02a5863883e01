"""The lexical readout: folding, hashing, and scores that are those of TF-IDF."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from alknet_firewall.codebook.lexical import folded_ids, lexical_scores, ngram_buckets

BUCKETS = 4096


def test_case_and_spaces_are_folded() -> None:
    folded = folded_ids(["Ignore", "\u0120ignore", "IGNORE", "\u2581ignore", " ignore", "other", "\u0120"])
    assert folded[:5].tolist() == [0] * 5 and len(set(folded[4:].tolist())) == 3
    assert folded.dtype == np.uint64


def test_buckets_of_words_and_pairs() -> None:
    ids = np.array([5, 7, 5, 7, 9], np.uint64)
    ones, twos = ngram_buckets(ids, BUCKETS)
    assert ones.shape == (5,) and twos.shape == (4,)
    assert ones[0] == ones[2] != ones[1] == ones[3] and twos[0] == twos[2] != twos[1]
    assert ((ones >= 0) & (ones < BUCKETS)).all()


def test_the_order_of_a_pair_matters() -> None:
    assert (
        ngram_buckets(np.array([1, 2], np.uint64), 1 << 30)[1]
        != ngram_buckets(np.array([2, 1], np.uint64), 1 << 30)[1]
    )


def test_hashes_are_fixed() -> None:
    """Stored codebooks depend on them."""
    ones, twos = ngram_buckets(np.array([0, 1, 49151], np.uint64), 1 << 18)
    assert ones.tolist() == [233013, 230502, 59140] and twos.tolist() == [34998, 53257]


def test_hashes_spread() -> None:
    [ones, *_] = ngram_buckets(np.arange(50_000, dtype=np.uint64), 1 << 18)
    expected = (1 << 18) * (1 - np.exp(-50_000 / (1 << 18)))
    assert len(np.unique(ones)) > 0.98 * expected


@pytest.mark.parametrize("n", [0, 1])
def test_short_texts(n: int) -> None:
    assert len(ngram_buckets(np.zeros(n, np.uint64), BUCKETS)) == n


def test_scores_against_a_direct_formula() -> None:
    rng = np.random.default_rng(0)
    rarity = rng.uniform(0, 5, BUCKETS).astype(np.float32)
    weights = rng.normal(size=(3, BUCKETS)).astype(np.float32)
    ids = rng.integers(0, 6, 40).astype(np.uint64)
    grams = ngram_buckets(ids, BUCKETS)
    counts = Counter(np.concatenate(grams).tolist())
    vector = np.zeros(BUCKETS)
    for bucket, count in counts.items():
        vector[bucket] = rarity[bucket] * (1 + np.log(count))
    scores, shares = lexical_scores(grams, rarity, weights, 40)
    np.testing.assert_allclose(scores, weights @ (vector / np.linalg.norm(vector)), rtol=1e-4)
    assert shares.shape == (3, 40)
    np.testing.assert_allclose(shares.sum(1), scores, rtol=1e-4, atol=1e-5)


def test_a_word_is_credited_where_it_first_stands() -> None:
    ids = np.array([1, 2, 3, 2], np.uint64)
    grams = ngram_buckets(ids, BUCKETS)
    weights = np.zeros((1, BUCKETS), np.float32)
    weights[0, grams[0][1]] = 1
    _, shares = lexical_scores(grams, np.ones(BUCKETS, np.float32), weights, 4)
    assert shares[0, 1] > 0 and shares[0, [0, 2, 3]].tolist() == [0, 0, 0]


def test_a_pair_is_credited_to_both_tokens() -> None:
    grams = ngram_buckets(np.array([1, 2, 3], np.uint64), BUCKETS)
    weights = np.zeros((1, BUCKETS), np.float32)
    weights[0, grams[1][1]] = 1
    scores, shares = lexical_scores(grams, np.ones(BUCKETS, np.float32), weights, 3)
    np.testing.assert_allclose(shares[0], [0, scores[0] / 2, scores[0] / 2])


def test_nothing_to_go_by() -> None:
    weights = np.ones((2, BUCKETS), np.float32)
    for grams, rarity in (
        ([], np.ones(BUCKETS)),
        (ngram_buckets(np.array([1], np.uint64), BUCKETS), np.zeros(BUCKETS)),
    ):
        scores, shares = lexical_scores(grams, rarity.astype(np.float32), weights, 1)
        assert scores.tolist() == [0, 0] and not shares.any()
