"""What an audit log tells: how much was screened when, what alarmed, how long it took, whether traffic has drifted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from alknet_firewall.codebook.calibration import FloatArray
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.suspects import attack_chances
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate.drift import ChannelDrift, RecentTexts, drift
from alknet_firewall.evaluate.exact import clopper_pearson
from alknet_firewall.evaluate.gathered import Gathered, quantiles
from alknet_firewall.evaluate.log_lines import LoggedVerdict
from alknet_firewall.evaluate.reliability import RATES_ASKED, Reliability
from alknet_firewall.verdict import CHANNELS, Action

ACTIONS = tuple(action.value for action in Action)
_STEPS = (60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)  # seconds of a bar
_MOST_BARS = 96
_TEXTS_FOR_DRIFT = 50


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """One channel of a log.

    Attributes:
        actions: Verdicts by action.
        behaviors: Verdicts by behavior that alarmed.
        errors: Screenings that failed.
        tokens: Read.
        seconds: Median, 99th percentile and longest of the times that were logged; None without any.
    """

    actions: Mapping[str, int]
    behaviors: Mapping[str, int]
    errors: int
    tokens: int
    seconds: tuple[float, float, float] | None

    @property
    def verdicts(self) -> int:
        """All of them."""
        return sum(self.actions.values())


@dataclass(frozen=True, slots=True)
class Day:
    """What a log tells.

    Attributes:
        first: Time of the first verdict.
        last: Time of the last one.
        malformed: Lines that could not be read.
        step: Length of a bar, in seconds.
        volumes: From the beginning of each bar, verdicts by action.
        channels: By channel, in their usual order.
        seconds: As of a channel, over all.
        slowest: Verdicts that took longest, the slowest first.
        highest: Of each text that was flagged its highest verdict, the highest first, and how often it was flagged.
        reliability: By channel, the share of texts that reach each rate of the calibration.
    """

    first: datetime
    last: datetime
    malformed: int
    step: int
    volumes: Mapping[datetime, Mapping[str, int]]
    channels: Mapping[str, ChannelFigures]
    seconds: tuple[float, float, float] | None
    slowest: Sequence[LoggedVerdict]
    highest: Sequence[tuple[LoggedVerdict, int]]
    reliability: Sequence[Reliability]
    log_rates: Mapping[str, FloatArray]

    @property
    def verdicts(self) -> int:
        """All of them."""
        return sum(channel.verdicts for channel in self.channels.values())

    def count(self, *actions: str) -> int:
        """Verdicts with one of these actions."""
        return sum(channel.actions.get(action, 0) for channel in self.channels.values() for action in actions)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: counts and times, nothing of single texts."""
        channels = {
            name: {
                "actions": dict(one.actions), "behaviors": dict(one.behaviors), "errors": one.errors,
                "tokens": one.tokens, "seconds": one.seconds,
            }
            for name, one in self.channels.items()
        }  # fmt: skip
        volumes = {time.isoformat(): dict(counts) for time, counts in self.volumes.items()}
        return {
            "first": self.first.isoformat(), "last": self.last.isoformat(), "verdicts": self.verdicts,
            "malformed": self.malformed, "seconds": self.seconds, "channels": channels, "step": self.step,
            "volumes": volumes,
        }  # fmt: skip


def summarise(lines: Iterable[LoggedVerdict | None], *, listed: int = 20) -> Day:
    """Figures of a log, in one pass.

    Args:
        lines: Of the log, None for malformed ones.
        listed: How many of the slowest and highest are kept.

    Raises:
        DataError: No line could be read.
    """
    found = Gathered()
    for line in lines:
        found.add(line)
    if not found.minutes:
        what = (
            f"none of {found.malformed:,} lines is one of an audit log" if found.malformed else "no verdict"
        )
        raise DataError(f"{what} in there; see AuditLog for what writes one")
    first, last = found.first, found.last
    step = next((s for s in _STEPS if (last - first).total_seconds() / s < _MOST_BARS), _STEPS[-1])
    log_rates = {name: np.array(found.log_rates[name]) for name in CHANNELS if found.log_rates[name]}
    return Day(
        first=first,
        last=last,
        malformed=found.malformed,
        step=step,
        volumes=_volumes(found.minutes, first, last, step),
        channels={name: _channel(found, name) for name in CHANNELS if found.actions[name]},
        seconds=quantiles([s for each in found.seconds.values() for s in each]),
        slowest=[line for _, _, line in sorted(found.slowest, key=lambda one: -one[0])[:listed]],
        highest=found.best(listed),
        reliability=[_reliability(name, values) for name, values in log_rates.items()],
        log_rates=log_rates,
    )


def drift_of(day: Day, codebook: Codebook) -> dict[str, ChannelDrift]:
    """Compares the scores of a log with the calibration of the codebook that gave them, by channel.

    What looks like attacks is set aside, as `alknet-firewall drift` does. Channels with few texts are left out.
    """
    recent = {}
    for name, log_rates in day.log_rates.items():
        if len(log_rates) >= _TEXTS_FOR_DRIFT:
            none = np.zeros(len(log_rates), bool)
            chances = attack_chances(-log_rates, np.ones(len(log_rates)), none)
            tables = codebook.combined or next(iter(codebook.behaviors.values())).tables
            recent[name] = RecentTexts(log_rates, 1 - chances, tables[name].count)
    return drift(recent)


def _channel(found: Gathered, name: str) -> ChannelFigures:
    times = quantiles(found.seconds[name])
    return ChannelFigures(
        found.actions[name], found.behaviors[name], found.errors[name], found.tokens[name], times
    )


def _volumes(
    minutes: Mapping[datetime, Counter[str]], first: datetime, last: datetime, step: int
) -> dict[datetime, dict[str, int]]:
    begin = first.timestamp() // step * step
    bars = int((last.timestamp() - begin) // step) + 1
    zero = datetime.fromtimestamp(begin, timezone.utc)
    volumes = {zero + timedelta(seconds=i * step): dict.fromkeys(ACTIONS, 0) for i in range(bars)}
    for minute, counts in minutes.items():
        place = zero + timedelta(seconds=max(0, int((minute.timestamp() - begin) // step)) * step)
        for action, count in counts.items():
            volumes[place][action] += count
    return volumes


def _reliability(channel: str, log_rates: FloatArray) -> Reliability:
    n = len(log_rates)
    hits = {rate: int((log_rates <= math.log(rate)).sum()) for rate in RATES_ASKED}
    return Reliability(channel, n, 1, {rate: clopper_pearson(count, n) for rate, count in hits.items()})
