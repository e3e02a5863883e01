"""The lines of audit logs, as `AuditLog` and `JsonLinesSink` write them, read back."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import IO, Any, cast

from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS, Action


@dataclass(frozen=True, slots=True)
class LoggedAlarm:
    """An alarm as it was logged; see `Alarm`."""

    behavior: str
    action: str
    span: tuple[int, int] | None
    contributions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LoggedVerdict:
    """A line of a log.

    Attributes:
        time: When, in UTC.
        channel: Where the text came from.
        action: What was decided.
        score: In [0, 1].
        tokens: That were read.
        error: Whether screening failed.
        alarms: Worst first.
        seconds: How long it took; None if that was not measured.
        hash: Of the text; None if it was not at hand.
        text: The text, if it was logged.
        origin: Name of the conversation or stream, if it has one.
    """

    time: datetime
    channel: str
    action: Action
    score: float
    tokens: int
    error: bool
    alarms: tuple[LoggedAlarm, ...]
    seconds: float | None
    hash: str | None
    text: str | None
    origin: str | None

    @property
    def flagged(self) -> bool:
        """Whether it is not allowed."""
        return self.action is not Action.ALLOW


def read_log(files: Sequence[Path], day: date | None = None) -> Iterator[LoggedVerdict | None]:
    """The lines of logs; None for one that is malformed, such as the last one of a process that was killed.

    Args:
        files: Logs, plain or gzipped.
        day: In UTC; None: all days.

    Raises:
        DataError: A file cannot be read.
    """
    for file in files:
        for line in _lines(file):
            if line.strip():
                found = _parsed(line)
                if found is None or day is None or found.time.date() == day:
                    yield found


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with cast("IO[bytes]", gzip.open(file)) if file.suffix == ".gz" else file.open("rb") as stream:
            yield from stream
    except (OSError, EOFError) as error:
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _parsed(line: bytes) -> LoggedVerdict | None:
    try:
        fields = json.loads(line)
        verdict = fields["verdict"]
        time = datetime.fromisoformat(fields["time"]).astimezone(timezone.utc)
        score, seconds = float(verdict["score"]), fields.get("seconds")
        if fields["channel"] not in CHANNELS or not 0 <= score <= 1 or not 2000 <= time.year < 2200:
            return None
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            return None
        return LoggedVerdict(
            time=time,
            channel=fields["channel"],
            action=Action(verdict["action"]),
            score=score,
            tokens=int(verdict["tokens"]),
            error=verdict["error"] is not None,
            alarms=tuple(_alarm(alarm) for alarm in verdict["alarms"]),
            seconds=seconds,
            hash=_text(fields.get("hmac_sha256") or fields.get("sha256")),
            text=_text(fields.get("text")),
            origin=_text(fields.get("conversation") or fields.get("stream")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _alarm(fields: Mapping[str, Any]) -> LoggedAlarm:
    span = fields["span"]
    return LoggedAlarm(
        str(fields["behavior"]),
        Action(fields["action"]).value,
        None if span is None else (int(span[0]), int(span[1])),
        {str(name): float(value) for name, value in fields["contributions"].items()},
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
