"""What screening answers: frozen, plain values that cross every boundary of the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

NOTICE = "[content withheld by alknet-firewall]"
"""What stands where flagged text was put: it tells the model that something is gone, and nothing of it."""

CHANNELS = ("user", "document", "tool", "response")
"""Where a text comes from: typed by a user, retrieved, returned by a tool, or written by the model itself."""


class Action(str, Enum):
    """What to do with a text, mildest first."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"

    @property
    def severity(self) -> int:
        """0 for allow, 1 for review, 2 for block: `max(actions, key=lambda a: a.severity)` is the strictest."""
        return ("allow", "review", "block").index(self.value)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, `text[start:end]`, in the text as it was given."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One behavior over its threshold.

    Attributes:
        behavior: What was recognised, e.g. `injection`.
        action: What this alarm asks for; `ALLOW` means that it informs only.
        score: In [0, 1], as `Verdict.score`, of this behavior alone.
        false_alarm_rate: Share of benign calibration text of the channel that scores at least this high.
        contributions: What carried it, in nats of the log-odds: by tap (`tap 8`), `lexical`, `bias`; the values
            add up to `evidence`.
        evidence: The log-odds of the window that scored highest.
        span: The part of the original text that carries most; None if the behavior cannot tell.
        decoded: What was undone to read that part (`base64`, `spaced`, `leetspeak`, ...); None if it stands there
            in plain sight.
    """

    behavior: str
    action: Action
    score: float
    false_alarm_rate: float
    evidence: float
    contributions: Mapping[str, float] = field(default_factory=dict)
    span: Span | None = None
    decoded: str | None = None

    @property
    def layer_scores(self) -> dict[int, float]:
        """The contributions of the taps alone, by tap."""
        return {
            int(name.removeprefix("tap ")): value
            for name, value in self.contributions.items()
            if name.startswith("tap ")
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one text.

    Attributes:
        action: What to do.
        score: In [0, 1], higher is worse, 0.5 where one benign text in a hundred lies; comparable across texts.
        false_alarm_rate: Share of benign calibration text of this channel that scores at least this high.
        alarms: The behaviors over their threshold, worst first.
        channel: The channel it was screened as.
        tokens: How many tokens were screened.
        truncated: True if the text was longer than `max_tokens` and the rest was not read (the policy `on_long`
            has then decided the action).
        error: What failed while screening, if anything did (the policy `on_error` has then decided the action).
    """

    action: Action
    score: float
    false_alarm_rate: float
    alarms: tuple[Alarm, ...] = ()
    channel: str = "user"
    tokens: int = 0
    truncated: bool = False
    error: str | None = None

    @property
    def flagged(self) -> bool:
        """True if the action is not `ALLOW`."""
        return self.action is not Action.ALLOW

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the alarms stand in the text as given, worst first, without repeats."""
        return tuple(dict.fromkeys(alarm.span for alarm in self.alarms if alarm.span is not None))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; the text itself is not in it."""
        return {
            "action": self.action.value,
            "flagged": self.flagged,
            "score": self.score,
            "false_alarm_rate": self.false_alarm_rate,
            "channel": self.channel,
            "tokens": self.tokens,
            "truncated": self.truncated,
            "error": self.error,
            "alarms": [
                {
                    "behavior": alarm.behavior,
                    "action": alarm.action.value,
                    "score": alarm.score,
                    "false_alarm_rate": alarm.false_alarm_rate,
                    "evidence": alarm.evidence,
                    "contributions": dict(alarm.contributions),
                    "span": None if alarm.span is None else [alarm.span.start, alarm.span.end],
                    "decoded": alarm.decoded,
                }
                for alarm in self.alarms
            ],
        }
