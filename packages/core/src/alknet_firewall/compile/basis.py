"""Directions without torch: what varies most (svd), what differs most (contrastive), what a linear probe reads.

All read vectors (one a stretch) that a readout made, and whiten first: each component is centred and divided by its
standard deviation. They are kept for comparison; learned directions (probe.py) are the default, because unsupervised
directions find what varies and not what attacks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_FEWEST = 10  # rows that a mean needs to say anything
_RIDGE_ROWS = 2000


def whitening(vectors: npt.NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each component of vectors (n, hidden): (hidden,), (hidden,)."""
    values = vectors.astype(np.float64)
    return values.mean(0), np.maximum(values.std(0), 1e-6)


def svd_directions(whitened: FloatArray, weights: FloatArray, k: int) -> FloatArray:
    """The `k` leading right singular vectors of weighted rows (n, hidden), as (k, hidden)."""
    covariance = (whitened * weights[:, None]).T @ whitened / weights.sum()
    return _leading(covariance, k)


def contrastive_directions(
    whitened: FloatArray,
    attack: npt.NDArray[np.bool_],
    sources: Sequence[str],
    channels: Sequence[str],
    k: int,
) -> FloatArray:
    """The `k` leading right singular vectors of differences: each attack source's mean minus its channel's benign mean.

    Args:
        whitened: (n, hidden).
        attack: Which rows attack, (n,).
        sources: Of the rows.
        channels: Of the rows.
        k: How many; where there are fewer differences, plain SVD directions follow.
    """
    keys = np.array([f"{source}\0{channel}" for source, channel in zip(sources, channels)])
    channel_of = np.array(list(channels))
    differences = []
    for key in sorted(set(keys[attack])):
        hit = attack & (keys == key)
        rest = ~attack & (channel_of == key.split("\0")[1])
        if hit.sum() >= _FEWEST and rest.sum() >= _FEWEST:
            differences.append(whitened[hit].mean(0) - whitened[rest].mean(0))
    covariance = np.cov(whitened.T) * 1e-6  # orders the directions that the differences leave open
    if differences:
        stacked = np.stack(differences)
        covariance = covariance + stacked.T @ stacked / len(stacked)
    return _leading(covariance, k)


def linear_direction(
    whitened: FloatArray, attack: npt.NDArray[np.bool_], sources: Sequence[str], weights: FloatArray
) -> FloatArray:
    """The direction that tells attacks from benign text of the same source best, (1, hidden).

    A ridge regression; its penalty is the mean eigenvalue of the rows' Gram matrix, as of 2,000 rows at most. Each
    source is centred by itself, so that what tells sources apart is not learnt.

    Args:
        whitened: (n, hidden).
        attack: Which rows attack, (n,).
        sources: Of the rows.
        weights: Of the rows, (n,).
    """
    named = np.array(list(sources))
    values, target = whitened.copy(), attack.astype(np.float64)
    for source in sorted(set(named.tolist())):
        own = named == source
        values[own] -= np.average(values[own], axis=0, weights=weights[own])
        target[own] -= np.average(target[own], weights=weights[own])
    covariance = (values * weights[:, None]).T @ values / weights.sum()
    penalty = np.trace(covariance) / min(len(values), _RIDGE_ROWS)
    found = np.linalg.solve(covariance + penalty * np.eye(len(covariance)), (values * weights[:, None]).T @ target)
    result: FloatArray = (found / max(float(np.linalg.norm(found)), 1e-12))[None]
    return result


def _leading(covariance: FloatArray, k: int) -> FloatArray:
    _, vectors = np.linalg.eigh(covariance)
    leading = vectors[:, ::-1][:, :k].T
    # The sign of an eigenvector is arbitrary: fix it, so that the same data give the same bytes.
    signs = np.sign(leading[np.arange(len(leading)), np.abs(leading).argmax(1)])
    result: FloatArray = leading * np.where(signs == 0, 1, signs)[:, None]
    return result
