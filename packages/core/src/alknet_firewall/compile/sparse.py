"""Features of a sparse autoencoder as the coordinates of a behavior: those by which its texts differ most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.model import Coordinates
from alknet_firewall.codebook.readout import FEATURE
from alknet_firewall.sae.fold import Folded

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SEEN = 0.1  # share of the rows in which a feature has to be active


def separating_features(
    folded: Folded,
    means: npt.NDArray[np.float32],
    tap: int,
    first: IntArray,
    attack: npt.NDArray[np.bool_],
    weights: FloatArray,
    k: int,
) -> tuple[Coordinates, npt.NDArray[np.float32], FloatArray]:
    """Chooses `k` features.

    Args:
        folded: All features.
        means: Of each over the tokens of each stretch, (s, d_sae).
        tap: Where they are read.
        first: A stretch of each row, (n,).
        attack: Which rows show the behavior, (n,).
        weights: Of the rows, (n,).
        k: How many, at most.

    Returns:
        The coordinates, their values on all stretches (s, k), and a first score of all stretches (s,).
    """
    chosen = separating(means[first], attack, weights, k)
    directions, values = folded.directions[chosen], means[:, chosen]
    coordinates = Coordinates(
        np.full(len(chosen), tap, np.int32), tuple(f"{FEATURE}:{number}" for number in chosen.tolist()),
        np.zeros_like(directions), directions, folded.offsets[chosen], folded.thresholds[chosen],
    )  # fmt: skip
    scale = values[first].std(0) + 1e-9
    separation = (values[first][attack].mean(0) - values[first][~attack].mean(0)) / scale
    return coordinates, values, np.asarray((values / scale) @ separation, np.float64)


def separating(
    values: npt.NDArray[np.float32], attack: npt.NDArray[np.bool_], weights: FloatArray, k: int
) -> IntArray:
    """The `k` columns of `values` (n, features) whose means differ most between attacks and benign text, ascending.

    The difference is told in standard deviations. Columns that are zero in nine rows of ten come last: their densities
    cannot be told from the rest.
    """
    own, rest = weights[attack] / weights[attack].sum(), weights[~attack] / weights[~attack].sum()
    difference = own @ values[attack] - rest @ values[~attack]
    seen = np.count_nonzero(values, axis=0) >= _SEEN * len(values)
    score = np.abs(difference) / (values.std(0) + 1e-6) * np.where(seen, 1, 1e-6)
    chosen: IntArray = np.sort(np.argsort(-score, kind="stable")[:k])
    return chosen
