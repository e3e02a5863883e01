"""What is kept of the lines of an audit log as they go by: counts, and a few of the lines."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from alknet_firewall.codebook.calibration import REFERENCE_RATE
from alknet_firewall.evaluate.log_lines import LoggedVerdict
from alknet_firewall.verdict import CHANNELS

_KEPT = 500  # of what is slowest and highest, to choose from


class Gathered:
    """What is kept of the lines: counts, and a few of them."""

    def __init__(self) -> None:
        self.malformed = 0
        self.first = datetime.max.replace(tzinfo=timezone.utc)
        self.last = datetime.min.replace(tzinfo=timezone.utc)
        self.minutes: dict[datetime, Counter[str]] = {}
        self.actions: dict[str, Counter[str]] = {name: Counter() for name in CHANNELS}
        self.behaviors: dict[str, Counter[str]] = {name: Counter() for name in CHANNELS}
        self.errors: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {name: [] for name in CHANNELS}
        self.log_rates: dict[str, list[float]] = {name: [] for name in CHANNELS}
        self.slowest: list[tuple[float, int, LoggedVerdict]] = []
        self._flagged: dict[str, tuple[LoggedVerdict, int]] = {}
        self._number = 0

    def add(self, line: LoggedVerdict | None) -> None:
        if line is None:
            self.malformed += 1
            return
        self._number += 1
        self.first, self.last = min(self.first, line.time), max(self.last, line.time)
        minute = line.time.replace(second=0, microsecond=0)
        self.minutes.setdefault(minute, Counter())[line.action.value] += 1
        self.actions[line.channel][line.action.value] += 1
        self.behaviors[line.channel].update({alarm.behavior for alarm in line.alarms})
        self.errors[line.channel] += line.error
        self.tokens[line.channel] += line.tokens
        if not line.error:  # the verdict of a fault is that of a policy: it has no evidence
            self.log_rates[line.channel].append(_log_rate(line.score))
        if line.seconds is not None:
            self.seconds[line.channel].append(line.seconds)
            self._keep_slow(line.seconds, line)
        if line.flagged:
            self._keep_flagged(line)

    def best(self, count: int) -> list[tuple[LoggedVerdict, int]]:
        return sorted(self._flagged.values(), key=lambda one: (-one[0].score, one[0].time))[:count]

    def _keep_slow(self, seconds: float, line: LoggedVerdict) -> None:
        entry = (seconds, -self._number, line)
        if len(self.slowest) < _KEPT:
            heapq.heappush(self.slowest, entry)
        else:
            heapq.heappushpop(self.slowest, entry)

    def _keep_flagged(self, line: LoggedVerdict) -> None:
        key = line.hash or f"line {self._number}"
        best, times = self._flagged.get(key, (line, 0))
        self._flagged[key] = (line if line.score > best.score else best, times + 1)
        if len(self._flagged) > 4 * _KEPT:  # however many texts are flagged, few are kept
            self._flagged = dict(sorted(self._flagged.items(), key=lambda one: -one[1][0].score)[:_KEPT])


def _log_rate(score: float) -> float:
    """The inverse of `score_of`: the logarithm of the false-alarm rate, at most 0."""
    sure = min(max(score, 1e-15), 1 - 1e-15)
    return min(0.0, math.log(REFERENCE_RATE) - math.log(sure) + math.log1p(-sure))


def quantiles(seconds: Sequence[float]) -> tuple[float, float, float] | None:
    """Median, 99th percentile and longest; None of none."""
    if not seconds:
        return None
    middle, late = np.quantile(seconds, (0.5, 0.99))
    return float(middle), float(late), max(seconds)
