"""How evidence is added up: a logistic combination, one row of weights a behavior, benign text as the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

FloatArray = npt.NDArray[np.float64]


def logistic_weights(
    features: Sequence[FloatArray],
    classes: npt.NDArray[np.int64],
    sample_weights: FloatArray,
    *,
    prior: float,
    ridge: float,
    nonnegative: bool = False,
) -> list[tuple[FloatArray, float]]:
    """Fits a multinomial logistic model in which each behavior sees its own features.

    The log-odds of behavior b against benign are `features[b] @ weights_b + bias_b`.

    Args:
        features: For each behavior, (n, k_b).
        classes: 0 for benign, b + 1 for behavior b, (n,).
        sample_weights: (n,), with mean 1.
        prior: What the weights are drawn to.
        ridge: How strongly.
        nonnegative: Whether a weight may not fall below 0 (more evidence never means less alarm).

    Returns:
        Weights (k_b,) and bias of each behavior.
    """
    sizes = [feature.shape[1] for feature in features]
    ends = np.cumsum(sizes)
    n = len(classes)
    target = np.eye(len(features) + 1)[classes][:, 1:]  # (n, behaviors)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        weights, biases = np.split(parameters[: ends[-1]], ends[:-1]), parameters[ends[-1] :]
        logits = np.stack([f @ w + b for f, w, b in zip(features, weights, biases)], axis=1)
        top = np.maximum(logits.max(1), 0)
        exponentials = np.exp(logits - top[:, None])
        total = np.exp(-top) + exponentials.sum(1)
        nll = np.log(total) + top - (target * logits).sum(1)
        slope = sample_weights[:, None] * (exponentials / total[:, None] - target) / n
        away = parameters[: ends[-1]] - prior
        gradient = np.concatenate([*(f.T @ slope[:, b] for b, f in enumerate(features)), slope.sum(0)])
        gradient[: ends[-1]] += ridge * away
        return float(sample_weights @ nll / n + ridge * away @ away / 2), gradient

    start = np.concatenate([np.full(ends[-1], prior), np.zeros(len(features))])
    low = 0.0 if nonnegative else None
    bounds = [(low, None)] * int(ends[-1]) + [(None, None)] * len(features)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    return [
        (weights, float(bias))
        for weights, bias in zip(np.split(fitted[: ends[-1]], ends[:-1]), fitted[ends[-1] :])
    ]
