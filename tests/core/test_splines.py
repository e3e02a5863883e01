"""Natural cubic splines: those of SciPy between the knots, straight lines outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet_firewall.codebook.splines import Splines


def some(k: int, m: int, seed: int = 0) -> Splines:
    rng = np.random.default_rng(seed)
    return Splines.through(np.cumsum(rng.uniform(0.1, 2, (k, m)), axis=1), rng.normal(size=(k, m)))


@pytest.mark.parametrize("m", [3, 4, 5, 12])
def test_against_scipy(m: int) -> None:
    cubic = pytest.importorskip("scipy.interpolate").CubicSpline
    splines = some(6, m)
    x = np.linspace(splines.knots[:, 0], splines.knots[:, -1], 101)  # (101, k)
    expected = [
        cubic(knots, values, bc_type="natural")(at)
        for knots, values, at in zip(splines.knots, splines.values, x.T)
    ]
    np.testing.assert_allclose(splines(x), np.transpose(expected), rtol=1e-9, atol=1e-9)


def test_through_the_knots() -> None:
    splines = some(4, 6)
    np.testing.assert_allclose(splines(splines.knots.T), splines.values.T, atol=1e-12)


def test_two_knots_make_a_line() -> None:
    splines = Splines.through(np.array([[0.0, 2.0]]), np.array([[1.0, 5.0]]))
    np.testing.assert_allclose(splines(np.array([[-1.0], [1.0], [10.0]]))[:, 0], [-1, 3, 21])


def test_tails_are_straight_and_join_smoothly() -> None:
    splines = some(5, 7)
    for edge, sign in ((splines.knots[:, 0], -1.0), (splines.knots[:, -1], 1.0)):
        far = splines(edge + sign * np.arange(1, 5)[:, None] * 100)  # (4, k)
        np.testing.assert_allclose(np.diff(far, 2, axis=0), 0, atol=1e-6)
        step = 1e-5
        inside = (splines(edge) - splines(edge - sign * step)) / step
        outside = (splines(edge + sign * step) - splines(edge)) / step
        np.testing.assert_allclose(inside, outside, atol=1e-3)


def test_difference() -> None:
    one = some(3, 5)
    other = Splines.through(one.knots, np.cos(one.knots))
    x = np.linspace(-3, 12, 40)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose((one - other)(x), one(x) - other(x), atol=1e-9)


def test_shapes() -> None:
    splines = some(3, 5)
    for shape in ((3,), (4, 3), (2, 4, 3)):
        assert splines(np.zeros(shape)).shape == shape


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.integers(0, 20))
def test_finite_everywhere(x: float, seed: int) -> None:
    assert np.isfinite(some(2, 5, seed)(np.array([x, -x]))).all()
