"""What was found in a conversation so far: of each channel the strongest evidence, and how much was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alknet_firewall.behavior import Evidence
from alknet_firewall.codebook.calibration import score_of
from alknet_firewall.codebook.model import ONE_WORD
from alknet_firewall.engine import Engine, Tally
from alknet_firewall.passages import Piece
from alknet_firewall.policy import group_of, thresholds_of
from alknet_firewall.verdict import Action, Alarm, Verdict

JOINED_POWER = 1.4
"""A joined window counts as one of n^1.4 where n were read: with the tables' power of some 0.7, as one of n."""

PLANTED = ("tool", "document")
"""Channels that bring what others may act on later: nobody who takes part in the conversation has written it."""

_TALKING = ("user", "response")
_WAYS = 2  # in which a conversation is judged: by its strongest window, and by what was planted and what came of it


@dataclass(frozen=True, slots=True)
class Found:
    """The strongest evidence of one behavior.

    Attributes:
        log_odds: Of the window.
        contributions: What it is made of.
        decoded: What was undone to read it.
    """

    log_odds: float
    contributions: dict[str, float]
    decoded: str | None = None


@dataclass
class ChannelEvidence:
    """What was found in a channel.

    Attributes:
        windows: That were read.
        group_log_odds: Of the behaviors that decide together, in their strongest window; -inf before one was read.
        strongest: By behavior.
    """

    windows: int = 0
    group_log_odds: float = -np.inf
    strongest: dict[str, Found] = field(default_factory=dict)

    def add(self, tally: Tally) -> None:
        """Adds what was seen of a text."""
        self.windows += tally.windows
        self.group_log_odds = max(self.group_log_odds, tally.group_log_odds)
        for name, seen in tally.strongest.items():
            found = seen.evidence
            if name not in self.strongest or found.log_odds > self.strongest[name].log_odds:
                self.strongest[name] = Found(found.log_odds, found.contributions, seen.piece.decoded)

    def tally(self, windows: int) -> Tally:
        """As if all of it had been one text of so many windows."""
        tally = Tally()
        for name, found in self.strongest.items():
            tally.add(_nowhere(found.decoded), {name: Evidence(found.log_odds, found.contributions)}, ())
        tally.windows = windows
        tally.group_log_odds = self.group_log_odds
        return tally


Channels = dict[str, ChannelEvidence]


def whole_verdict(engine: Engine, alone: Channels, joined: Channels, channel: str, tokens: int) -> Verdict:
    """The verdict on a conversation.

    Its strongest window counts as one of all windows that were read of turns, as in a long text. What tools and
    documents brought and what was said to it are taken together, too (Fisher's method, for two).

    Args:
        engine: What judges.
        alone: What was found in turns, by channel.
        joined: What was found in turns read with what was said before; its windows hold the same words again.
        channel: Of the last turn; named where nothing was found.
        tokens: That were read.
    """
    read = {name: found for name, found in alone.items() if found.strongest}
    windows = sum(found.windows for found in read.values())
    verdicts = [engine.verdict(found.tally(windows), name) for name, found in read.items()]
    verdicts += [
        engine.verdict(found.tally(round(windows**JOINED_POWER)), name)
        for name, found in joined.items()
        if found.strongest
    ]
    if not verdicts:
        return Verdict(Action.ALLOW, 0.0, 1.0, channel=channel, tokens=tokens)
    return replace(_raised(engine, read, strictest(verdicts)), tokens=tokens)


def unworded(tally: Tally, group: Sequence[str]) -> Tally | None:
    """What was seen of a text, without what was taken off for being one word; None if nothing was.

    Args:
        tally: Of the text.
        group: The behaviors that decide together.
    """
    seen = {name: strongest.evidence for name, strongest in tally.strongest.items()}
    if not any(ONE_WORD in found.contributions for found in seen.values()):
        return None
    bare = Tally()
    found = {
        name: Evidence(one.log_odds - one.contributions.get(ONE_WORD, 0.0), one.contributions)
        for name, one in seen.items()
    }
    bare.add(_nowhere(None), found, group)
    bare.windows = tally.windows
    return bare


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst verdict, with the strictest action and all alarms; alarms are without places."""
    worst = max(verdicts, key=lambda verdict: (verdict.action.severity, verdict.score))
    alarms = [replace(alarm, span=None) for verdict in verdicts for alarm in verdict.alarms]
    alarms.sort(key=lambda alarm: (-alarm.action.severity, -alarm.score, -alarm.evidence))
    return replace(worst, alarms=tuple(alarms))


def _raised(engine: Engine, read: Channels, verdict: Verdict) -> Verdict:
    """With what was planted and what came of it taken together, if that makes it worse."""
    group = group_of(engine.config, engine.codebook)
    planted, talked = (_surprise(engine, read, names) for names in (PLANTED, _TALKING))
    if not group or not planted or not talked:
        return verdict
    both = planted + talked
    log_rate = min(0.0, float(np.log1p(both)) - both + float(np.log(_WAYS)))  # P(Gamma(2) >= both), twice
    score = score_of(log_rate)
    if score <= verdict.score:
        return verdict
    least = max(engine.codebook.combined[name].least_rate for name in read)
    rate = float(np.clip(np.exp(log_rate), least, 1))
    action = thresholds_of(engine.config).action(rate)
    raised = replace(verdict, score=score, false_alarm_rate=rate)
    if action.severity <= verdict.action.severity:
        return raised
    found = [read[name].strongest for name in PLANTED if name in read]
    name, worst = max(
        ((name, one[name]) for one in found for name in group if name in one),
        key=lambda pair: pair[1].log_odds,
    )
    alarm = Alarm(name, action, score, rate, worst.log_odds, worst.contributions, None, worst.decoded)
    return replace(raised, action=action, alarms=(alarm, *verdict.alarms))


def _surprise(engine: Engine, read: Channels, names: Sequence[str]) -> float:
    """Minus the logarithm of the rate of the strongest window in some channels; 0 if nothing was read there."""
    there = {name: read[name] for name in names if name in read}
    windows = sum(found.windows for found in there.values())
    tables = engine.codebook.combined
    return -min(
        (tables[name].log_rate(found.group_log_odds, windows) for name, found in there.items()), default=0.0
    )


def _nowhere(decoded: str | None) -> Piece:
    """A window whose words are not kept."""
    none = np.empty((0, 2), np.int32)
    return Piece("", np.empty(0, np.int32), none, none.astype(np.int64), decoded)
