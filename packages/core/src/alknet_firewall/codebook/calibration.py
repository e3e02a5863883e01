"""From log-odds to false-alarm rates.

A table holds, for one channel, the share of benign text that reaches a value of the log-odds: the split-conformal
p-value (Vovk et al., Algorithmic Learning in a Random World, 2005), with what lies between two calibration texts
interpolated. Of n calibration texts let j lie at or above a value; the rate there is j / (n + 1).

    For a benign text that is exchangeable with the calibration texts, P(rate <= a) <= a at every a = j / (n + 1),
    and P(rate <= a) < a + 1 / (n + 1) at every other a, whatever the distribution and for every n.

With weights (sources that weigh the same) the shares are weighted ones and n is the effective number of texts: exact if
the weights are how much more often the traffic holds such a text than the calibration does (Tibshirani et al.,
Conformal Prediction Under Covariate Shift, 2019) and none of them is large, else an approximation.

Beyond the largest value seen, the table goes on with the exponential decay of its own tail (the peaks-over-threshold
form with shape 0; Pickands, Ann. Statist. 3, 1975), so that texts further out can still be ranked. What is *reported*
never falls below 1 / (n + 1): n texts cannot show less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

REFERENCE_RATE = 0.01
"""The false-alarm rate at which a score is 0.5."""

_TAIL = 0.05  # the share of benign text whose decay is carried on beyond the largest value seen
_GRID = 128


@dataclass(frozen=True, slots=True)
class RateTable:
    """Share of benign texts that reach a value, for one behavior and channel.

    Attributes:
        log_odds: Ascending, (m,).
        log_rates: Natural logarithm of the share at or above each value, descending, (m,).
        decay: How fast the logarithm falls beyond the last value, per nat of log-odds; positive.
        count: Number of benign texts behind it (effective, where they are weighted).
        windows_exponent: A text of n windows counts as n to this power independent ones; in [0, 1].
        own: What a rate of this table is in the traffic of the place where it is used: a table over
            `surprise`, from `recalibrated`; None before.
    """

    log_odds: FloatArray
    log_rates: FloatArray
    decay: float
    count: float
    windows_exponent: float = 1.0
    own: RateTable | None = None

    @classmethod
    def fit(
        cls, log_odds: npt.ArrayLike, weights: npt.ArrayLike | None = None, count: float | None = None
    ) -> RateTable:
        """Fits a table to the log-odds of benign texts.

        Args:
            log_odds: Of benign texts, (n,), n >= 2.
            weights: Of the texts, (n,); equal if None.
            count: How many texts stand behind them, where that is not what the weights say (Kish, Survey Sampling,
                1965): for windows, of which several come from one text.

        Raises:
            ValueError: Fewer than two texts, or a value that is not finite.
        """
        values = np.asarray(log_odds, np.float64)
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValueError("calibration needs the finite log-odds of at least two benign texts")
        shares = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
        shares = shares / shares.sum()
        known = float(1 / np.sum(shares**2)) if count is None else count
        order = np.argsort(values)
        values, shares = values[order], shares[order]
        survival = np.cumsum(shares[::-1])[::-1]  # share at or above each value
        survival = survival[np.searchsorted(values, values, "left")]  # of equal values, all count
        threshold = values[np.searchsorted(-survival, -_TAIL, side="left").clip(0, len(values) - 2)]
        tail = values >= threshold
        excess = np.average(values[tail] - threshold, weights=shares[tail])
        log_rates = np.log(np.minimum(survival, 1.0)) + np.log(known / (known + 1))
        picks = grid(values, log_rates)
        return cls(values[picks], log_rates[picks], float(1 / max(excess, 1e-3)), known)

    def log_rate(self, log_odds: float, windows: int = 1) -> float:
        """Natural logarithm of the share of benign texts that reach `log_odds` in any of `windows` windows."""
        surprise = self.surprise(log_odds, windows)
        return -surprise if self.own is None else self.own.log_rate(surprise)

    def surprise(self, log_odds: float, windows: int = 1) -> float:
        """Minus the logarithm of that share, before the traffic of one's own is counted: nats, not negative.

        n windows count as n^`windows_exponent` independent ones (Sidak, J. Am. Stat. Assoc. 62, 1967, is 1): a long
        text must not alarm for being long, but its windows resemble each other, and if each counted in full, an
        attack in it would be hidden.
        """
        if log_odds > self.log_odds[-1]:
            one = float(self.log_rates[-1] - self.decay * (log_odds - self.log_odds[-1]))
        else:
            one = float(np.interp(log_odds, self.log_odds, self.log_rates))
        if windows <= 1 or one == 0:
            return -one
        independent = windows**self.windows_exponent
        if one < -36:  # the rate may be too small for a float; its multiple is exact enough
            return -one - float(np.log(independent))
        # log(1 - (1 - rate)^windows), exact also where the rate is far below the precision of 1 - rate.
        return -float(np.log(-np.expm1(independent * np.log1p(-min(np.exp(one), 1 - 1e-12)))))

    def rate(self, log_odds: float, windows: int = 1) -> float:
        """The share itself, not below what the count of benign texts allows."""
        return float(np.clip(np.exp(self.log_rate(log_odds, windows)), self.least_rate, 1))

    @property
    def least_rate(self) -> float:
        """The smallest share that so many texts can tell: 1 / (count + 1)."""
        return 1 / (self.count + 1)

    def value_at(self, log_rate: float) -> float:
        """The log-odds at which one window has a rate: the inverse of `log_rate`."""
        if self.own is not None:
            log_rate = -self.own.value_at(log_rate)
        if log_rate < self.log_rates[-1]:
            return float(self.log_odds[-1] + (self.log_rates[-1] - log_rate) / self.decay)
        return float(np.interp(-log_rate, -self.log_rates, self.log_odds))


def grid(values: FloatArray, log_rates: FloatArray) -> npt.NDArray[np.intp]:
    """Which points of a curve to keep: even in log rate, so that the tail, where thresholds lie, gets its share.

    Args:
        values: Ascending, (n,).
        log_rates: Descending, (n,).

    Returns:
        Their places, ascending, with values that differ.
    """
    targets = np.linspace(log_rates[0], log_rates[-1], _GRID)
    picks = np.unique(np.searchsorted(-log_rates, -targets, side="left").clip(0, len(values) - 1))
    kept: npt.NDArray[np.intp] = picks[np.concatenate([[True], np.diff(values[picks]) > 1e-9])]
    return kept


def score_of(log_rate: float) -> float:
    """The score in [0, 1] of a false-alarm rate: 0.5 at one in a hundred, 0.91 at one in a thousand.

    A fixed, decreasing function of the rate, hence comparable across channels, behaviors and lengths.
    """
    return float(1 / (1 + np.exp(np.clip(log_rate - np.log(REFERENCE_RATE), -700, 700))))
