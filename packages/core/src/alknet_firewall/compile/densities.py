"""Smoothed log-densities along one coordinate: penalised splines fitted to a histogram.

Maximises the likelihood of a natural cubic spline as log-density, less a penalty on its curvature (Silverman, On the
estimation of a probability density function by the maximum penalized likelihood method, Ann. Statist. 10, 1982), on a
fine grid. The problem is convex and has as many unknowns as knots.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from alknet_firewall.codebook.splines import Splines

FloatArray = npt.NDArray[np.float64]

KNOT_QUANTILES = (0.02, 0.25, 0.5, 0.75, 0.98)
_GRID = 256
_SMOOTHING = 1e-3
_MARGIN = 0.5  # of the range between the outer knots, added on both sides of the grid


def knots_for(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Knots at quantiles of weighted values (n,); strictly ascending, (m,)."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order]) / weights.sum()
    picks = np.searchsorted(cumulated, KNOT_QUANTILES).clip(0, len(values) - 1)
    knots: FloatArray = values[order][picks].astype(np.float64)
    least = max(1e-3 * (knots[-1] - knots[0]), 1e-6)  # ties would make a spline undefined
    for i in range(1, len(knots)):
        knots[i] = max(knots[i], knots[i - 1] + least)
    return knots


def log_density(values: FloatArray, weights: FloatArray, knots: FloatArray) -> FloatArray:
    """Fits a log-density.

    Args:
        values: (n,).
        weights: (n,).
        knots: Ascending, (m,).

    Returns:
        The log-density at the knots, (m,), normalised over the grid.
    """
    span = knots[-1] - knots[0]
    grid = np.linspace(knots[0] - _MARGIN * span, knots[-1] + _MARGIN * span, _GRID)
    step = grid[1] - grid[0]
    # What lies outside the grid counts at its ends: the tail is fitted as a line, not lost.
    cells = np.rint((np.clip(values, grid[0], grid[-1]) - grid[0]) / step).astype(int)
    share = np.bincount(cells, weights, minlength=_GRID) / weights.sum()
    m = len(knots)
    unit = Splines.through(np.tile(knots, (m, 1)), np.eye(m))  # spline i is 1 at knot i, 0 at the others
    basis = unit(np.tile(grid[:, None], (1, m)))  # (grid, m)
    gaps = np.diff(knots)
    # Integral of the squared second derivative, which is piecewise linear between the knots.
    c = unit.curvatures  # (m, m): row i for spline i
    roughness = sum(
        gap / 3 * (np.outer(c[:, i], c[:, i]) + np.outer(c[:, i + 1], c[:, i + 1]))
        + gap / 6 * (np.outer(c[:, i], c[:, i + 1]) + np.outer(c[:, i + 1], c[:, i]))
        for i, gap in enumerate(gaps)
    )
    penalty = _SMOOTHING * span**3 * roughness  # span^3: free of the coordinate's unit

    def loss(at_knots: FloatArray) -> tuple[float, FloatArray]:
        heights = basis @ at_knots
        top = heights.max()
        exponentials = np.exp(heights - top)
        total = exponentials.sum()
        value = np.log(total * step) + top - share @ heights + at_knots @ penalty @ at_knots / 2
        gradient = basis.T @ (exponentials / total - share) + penalty @ at_knots
        return float(value), gradient

    start = -0.5 * ((knots - np.average(values, weights=weights)) / max(span / 4, 1e-9)) ** 2
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B").x
    heights = basis @ fitted
    top = heights.max()
    result: FloatArray = fitted - (np.log(np.exp(heights - top).sum() * step) + top)
    return result
