"""Ranking and threshold figures, with weights and ties; numpy only.

A text counts as flagged when its score lies *above* a threshold. A threshold for a rate of false alarms is the
lowest benign score above which at most that (weighted) share of the benign scores lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_ROUNDING = 1e-12  # sums of shares that should be equal may differ by this much


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """How attacks rank against benign text.

    Attributes:
        auroc: Share of pairs of an attack and a benign text in which the attack scores higher; a tie is half.
        recall: By rate of false alarms, the share of attacks above the threshold for it.
    """

    auroc: Estimate
    recall: Mapping[float, Estimate]


def equal_weights(groups: Sequence[str]) -> FloatArray:
    """Weights (n,) that add up to 1, with which every group weighs the same and its members too."""
    _, index, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weights: FloatArray = 1 / (counts[index] * len(counts))
    return weights


def auroc(
    attacks: npt.ArrayLike,
    benign: npt.ArrayLike,
    attack_weights: npt.ArrayLike | None = None,
    benign_weights: npt.ArrayLike | None = None,
) -> float:
    """Area under the ROC curve: the chance that an attack scores higher than a benign text; a tie is half.

    Args:
        attacks: Scores, (n,), n >= 1.
        benign: Scores, (m,), m >= 1.
        attack_weights: (n,), not negative; equal if None.
        benign_weights: (m,), not negative; equal if None.

    Raises:
        ValueError: One of the sides is empty or weighs nothing.
    """
    above, below = np.asarray(attacks, np.float64), np.asarray(benign, np.float64)
    own, others = _shares(above, attack_weights), _shares(below, benign_weights)
    order = np.argsort(below, kind="stable")
    cumulated = np.concatenate([[0.0], np.cumsum(others[order])])
    left, right = (np.searchsorted(below[order], above, side) for side in ("left", "right"))
    return float(own @ (cumulated[left] + cumulated[right]) / 2)


def threshold(benign: npt.ArrayLike, rate: float, weights: npt.ArrayLike | None = None) -> float:
    """The lowest benign score above which at most `rate` of the benign text lies.

    Args:
        benign: Scores, (m,), m >= 1.
        rate: In [0, 1].
        weights: (m,), not negative; equal if None.

    Raises:
        ValueError: There is no benign text, or it weighs nothing.
    """
    scores = np.asarray(benign, np.float64)
    order = np.argsort(scores, kind="stable")
    cumulated = np.cumsum(_shares(scores, weights)[order])
    return float(scores[order][np.searchsorted(cumulated, 1 - rate - _ROUNDING).clip(0, len(scores) - 1)])


def wilson(hits: float, n: int, z: float = 1.959964) -> Estimate:
    """A share of `n` independent trials with its 95 % interval (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Raises:
        ValueError: `n` is less than 1.
    """
    if n < 1:
        raise ValueError("a share needs at least one trial")
    share = hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Estimate(share, float(min(low, share)), float(max(high, share)))


def rankings(
    attacks: Mapping[str, npt.ArrayLike],
    benign: npt.ArrayLike,
    sources: Sequence[str],
    *,
    rates: Sequence[float] = (0.01, 0.05),
    averages: Mapping[str, Sequence[str]] | None = None,
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Ranking]:
    """How groups of attacks rank against the same benign text, with bootstrap intervals.

    Each replicate draws rows anew within each benign source and within each group of attacks (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, percentile intervals), and sets thresholds anew.

    Args:
        attacks: Scores by group.
        benign: Scores, (m,), m >= 1.
        sources: The source of each benign text, (m,); sources weigh the same.
        rates: Rates of false alarms at which recall is wanted.
        averages: Means over groups that are wanted as well: their name, and the groups.
        replicates: How many draws.
        seed: Of the draws.

    Returns:
        By name of the group or the mean.
    """
    scores = {name: np.asarray(values, np.float64) for name, values in attacks.items()}
    ground = _Ground.of(np.asarray(benign, np.float64), sources)
    places = {name: ground.places(values) for name, values in scores.items()}
    generator = np.random.default_rng(seed)
    figures = np.empty((replicates + 1, len(scores), 1 + len(rates)))
    for replicate in range(replicates + 1):  # number 0 is the data as they are
        weights = ground.draw(generator) if replicate else ground.weights
        cumulated = np.concatenate([[0.0], np.cumsum(weights)])
        limits = [ground.threshold(cumulated, rate) for rate in rates]
        for i, (name, values) in enumerate(scores.items()):
            n = len(values)
            drawn = generator.integers(0, n, n) if replicate else np.arange(n)
            left, right = places[name][0][drawn], places[name][1][drawn]
            figures[replicate, i, 0] = (cumulated[left] + cumulated[right]).mean() / 2
            figures[replicate, i, 1:] = [(values[drawn] > limit).mean() for limit in limits]
    columns = {name: figures[:, i] for i, name in enumerate(scores)}
    for name, members in (averages or {}).items():
        columns[name] = np.mean([columns[member] for member in members], axis=0)
    return {name: _ranking(column, rates) for name, column in columns.items()}


@dataclass(frozen=True)
class _Ground:
    """Benign text, sorted once: replicates change only its weights."""

    scores: FloatArray
    weights: FloatArray
    members: tuple[npt.NDArray[np.intp], ...]  # the places of each source's texts

    @classmethod
    def of(cls, scores: FloatArray, sources: Sequence[str]) -> _Ground:
        order = np.argsort(scores, kind="stable")
        names = np.asarray(sources)[order]
        members = tuple(np.flatnonzero(names == name) for name in np.unique(names))
        return cls(scores[order], equal_weights(sources)[order], members)

    def places(self, attacks: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        return np.searchsorted(self.scores, attacks, "left"), np.searchsorted(self.scores, attacks, "right")

    def draw(self, generator: np.random.Generator) -> FloatArray:
        weights = np.empty_like(self.weights)
        for places in self.members:
            n = len(places)
            weights[places] = generator.multinomial(n, np.full(n, 1 / n)) / (n * len(self.members))
        return weights

    def threshold(self, cumulated: FloatArray, rate: float) -> float:
        place = np.searchsorted(cumulated[1:], 1 - rate - _ROUNDING)
        return float(self.scores[min(int(place), len(self.scores) - 1)])


def _ranking(column: FloatArray, rates: Sequence[float]) -> Ranking:
    low, high = np.percentile(column[1:], [2.5, 97.5], axis=0) if len(column) > 1 else (column[0], column[0])
    estimates = [Estimate(float(v), float(a), float(b)) for v, a, b in zip(column[0], low, high)]
    return Ranking(estimates[0], dict(zip(rates, estimates[1:])))


def _shares(values: FloatArray, weights: npt.ArrayLike | None) -> FloatArray:
    given = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    total = given.sum()
    if not total > 0:
        raise ValueError("there is nothing to rank: a side is empty or weighs nothing")
    shares: FloatArray = given / total
    return shares
