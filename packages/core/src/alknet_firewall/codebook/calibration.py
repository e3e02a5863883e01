"""From log-odds to false-alarm rates.

A table holds, for one channel, the share of benign text that reaches a value of the log-odds. Up to the ends of what
was seen it is the empirical survival function, interpolated in the logarithm; beyond, it goes on with the exponential
decay of its own tail (the peaks-over-threshold form with shape 0; Pickands, Ann. Statist. 3, 1975), so that texts
further out can still be ranked. What is *reported* never falls below what the count of benign texts allows: with n of
them, no rate under 1 / (n + 1) is known (split conformal prediction; Vovk et al., Algorithmic Learning in a Random
World, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

REFERENCE_RATE = 0.01
"""The false-alarm rate at which a score is 0.5."""

_TAIL = 0.05  # the share of benign text whose decay is carried on beyond the largest value seen
_GRID = 64


@dataclass(frozen=True, slots=True)
class RateTable:
    """Share of benign texts that reach a value, for one behavior and channel.

    Attributes:
        log_odds: Ascending, (m,).
        log_rates: Natural logarithm of the share at or above each value, descending, (m,).
        decay: How fast the logarithm falls beyond the last value, per nat of log-odds; positive.
        count: Number of benign texts behind it (effective, where they are weighted).
    """

    log_odds: FloatArray
    log_rates: FloatArray
    decay: float
    count: float

    @classmethod
    def fit(cls, log_odds: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> RateTable:
        """Fits a table to the log-odds of benign texts.

        Args:
            log_odds: Of benign texts, (n,), n >= 2.
            weights: Of the texts, (n,); equal if None.

        Raises:
            ValueError: Fewer than two texts, or a value that is not finite.
        """
        values = np.asarray(log_odds, np.float64)
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValueError("calibration needs the finite log-odds of at least two benign texts")
        shares = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
        shares = shares / shares.sum()
        order = np.argsort(values)
        values, shares = values[order], shares[order]
        survival = np.cumsum(shares[::-1])[::-1]  # share at or above each value
        # Grid points even in log rate: the tail, where thresholds lie, gets as many as the bulk.
        targets = np.exp(np.linspace(0, np.log(survival[-1]), _GRID))
        picks = np.unique(np.clip(np.searchsorted(-survival, -targets, side="left"), 0, len(values) - 1))
        picks = picks[np.concatenate([[True], np.diff(values[picks]) > 1e-9])]
        threshold = values[np.searchsorted(-survival, -_TAIL, side="left").clip(0, len(values) - 2)]
        tail = values >= threshold
        excess = np.average(values[tail] - threshold, weights=shares[tail])
        decay = 1 / max(excess, 1e-3)
        reached = survival[np.searchsorted(values, values[picks], "left")]  # of equal values, all count
        return cls(values[picks], np.log(np.minimum(reached, 1.0)), float(decay), float(1 / np.sum(shares**2)))

    def log_rate(self, log_odds: float, windows: int = 1) -> float:
        """Natural logarithm of the share of benign texts that reach `log_odds` in any of `windows` windows.

        Windows count as independent (Sidak, J. Am. Stat. Assoc. 62, 1967): on the safe side for false alarms, so that
        a long text does not alarm for being long.
        """
        if log_odds > self.log_odds[-1]:
            one = float(self.log_rates[-1] - self.decay * (log_odds - self.log_odds[-1]))
        else:
            one = float(np.interp(log_odds, self.log_odds, self.log_rates))
        if windows <= 1 or one == 0:
            return one
        if one < -36:  # the rate may be too small for a float; its multiple is exact enough
            return one + float(np.log(windows))
        # log(1 - (1 - rate)^windows), exact also where the rate is far below the precision of 1 - rate.
        return float(np.log(-np.expm1(windows * np.log1p(-min(np.exp(one), 1 - 1e-12)))))

    def rate(self, log_odds: float, windows: int = 1) -> float:
        """The share itself, not below what the count of benign texts allows."""
        return float(np.clip(np.exp(self.log_rate(log_odds, windows)), 1 / (self.count + 1), 1))


def score_of(log_rate: float) -> float:
    """The score in [0, 1] of a false-alarm rate: 0.5 at one in a hundred, 0.91 at one in a thousand.

    A fixed, decreasing function of the rate, hence comparable across channels, behaviors and lengths.
    """
    return float(1 / (1 + np.exp(np.clip(log_rate - np.log(REFERENCE_RATE), -700, 700))))
