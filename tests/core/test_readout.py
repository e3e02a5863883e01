"""Each readout against a direct formula, and one that a stranger brings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet_firewall.codebook.model import Coordinates
from alknet_firewall.codebook.readout import (
    ATTENTION,
    BUILT_IN,
    PEAK,
    attention_shares,
    normalised,
    stretches,
)

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(7, 4)).astype(np.float32)  # five tokens of text, two of the template's end
SUFFIX = 2


def test_normalised() -> None:
    result = normalised(STATES * 100)
    np.testing.assert_allclose((result**2).mean(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(result, normalised(STATES), rtol=1e-5)
    assert result.dtype == np.float32 and np.isfinite(normalised(np.zeros((2, 4), np.float32))).all()
    np.testing.assert_allclose(normalised(np.stack([STATES, STATES * 3]))[1], result, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("last", [0, 0, 0, 0, 1, 0, 0]), ("template_end", [0, 0, 0, 0, 0, 0, 1]), ("mean", [0.2] * 5 + [0, 0])],
)
def test_shares(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(BUILT_IN[name].shares(STATES, SUFFIX), expected)
    assert BUILT_IN[name].name == name
    assert BUILT_IN[name].shares(STATES[:1], 0).tolist() == [1]


def test_attention() -> None:
    scores = RNG.normal(size=(7, 3)).astype(np.float32)
    shares = attention_shares(scores, SUFFIX)
    expected = np.exp(scores[:5]) / np.exp(scores[:5]).sum(0)
    np.testing.assert_allclose(shares[:5], expected, rtol=1e-5)
    assert not shares[5:].any()
    assert np.isfinite(attention_shares(scores * 1e30, SUFFIX)).all()


class Second:
    """What a plugin might bring: the second token."""

    name = "second"

    def shares(self, states: np.ndarray, suffix: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.eye(len(states), dtype=np.float32)[1]


def test_coordinates_against_a_direct_formula() -> None:
    names = ("template_end", ATTENTION, "mean", ATTENTION, "second", "last")
    taps = np.array([1, 1, 2, 2, 2, 1], np.int32)
    directions, queries = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    offsets = np.arange(6, dtype=np.float32)
    states = {1: STATES, 2: RNG.normal(size=(7, 4)).astype(np.float32)}
    readouts = {**BUILT_IN, "second": Second()}
    coordinates = Coordinates(taps, names, queries, directions, offsets)
    (values,), (parts,) = coordinates.read(states, SUFFIX, readouts)
    assert len(coordinates) == 6 and parts.shape == (7, 6)
    np.testing.assert_allclose(parts.sum(0) + offsets, values, rtol=1e-5, atol=1e-5)
    for j, name in enumerate(names):
        seen = states[int(taps[j])]
        if name == ATTENTION:
            weights = np.exp(seen[:5] @ queries[j])
            pooled = (weights / weights.sum()) @ seen[:5]
        else:
            pooled = {"template_end": seen[-1], "mean": seen[:5].mean(0), "second": seen[1], "last": seen[4]}[
                name
            ]
        assert values[j] == pytest.approx(pooled @ directions[j] + offsets[j], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("n_tokens", "size", "expected"),
    [(5, 0, [0, 5]), (1, 48, [0, 1]), (71, 48, [0, 71]), (72, 48, [0, 48, 72]), (192, 48, [0, 48, 96, 144, 192])],
)
def test_borders_of_stretches(n_tokens: int, size: int, expected: list[int]) -> None:
    assert stretches(n_tokens, size).tolist() == expected


@given(st.integers(1, 400), st.integers(1, 60))
def test_stretches_keep_their_borders_while_a_window_grows(n_tokens: int, size: int) -> None:
    borders = stretches(n_tokens, size)
    assert borders[0] == 0 and borders[-1] == n_tokens and (np.diff(borders) > 0).all()
    assert (np.diff(borders)[:-1] == size).all() and np.diff(borders)[-1] < 1.5 * size
    longer = stretches(n_tokens + 1, size)
    assert longer[: len(borders) - 1].tolist() == borders[:-1].tolist()


def test_a_stretch_reads_as_a_text_of_its_own() -> None:
    names = ("template_end", ATTENTION, "mean", PEAK, "last")
    directions, queries = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    coordinates = Coordinates(np.ones(5, np.int32), names, queries, directions, np.arange(5, dtype=np.float32))
    values, parts = coordinates.read({1: STATES}, SUFFIX, BUILT_IN, stretch=2)
    for stretch, rows in enumerate(([0, 1, 5, 6], [2, 3, 5, 6], [4, 5, 6])):
        (alone,), (own,) = coordinates.read({1: STATES[rows]}, SUFFIX, BUILT_IN)
        np.testing.assert_allclose(values[stretch], alone, rtol=1e-5)
        np.testing.assert_allclose(parts[stretch], own, rtol=1e-5)
