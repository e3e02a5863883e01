"""What is found in a file: every place, not the strongest alone, less what somebody has looked at and accepted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alknet_firewall.errors import DataError
from alknet_firewall.firewall import Firewall
from alknet_firewall.verdict import Action, Span, Verdict

MOST = 20
"""Findings that are told of one file."""

_MOST_ACCEPTED = 1000  # rounds of reading that accepted places may cost a file
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a file that was flagged.

    Attributes:
        path: Of the file, as it was given.
        line, column: Where it starts, from 1; columns in characters.
        end_line, end_column: Where it ends; the column behind it.
        action: `REVIEW` or `BLOCK`.
        behavior: What was recognised; `too long` or `screening failed` where a policy decided.
        false_alarm_rate: Of benign texts, the share that scores at least this high.
        channel: What it was screened as.
        hash: SHA-256 of the flagged text: what accepts it, wherever it stands.
    """

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int
    action: Action
    behavior: str
    false_alarm_rate: float
    channel: str
    hash: str


def findings_in(firewall: Firewall, path: Path, channel: str, accepted: frozenset[str]) -> list[Finding]:
    """Screens a file until nothing more is found: each place that was found is blanked out for the next look.

    Args:
        firewall: What screens.
        path: Of a text file; bytes that are no UTF-8 are read as odd characters.
        channel: As of `Firewall.screen`.
        accepted: Hashes of flagged text that is not to be told.

    Raises:
        DataError: The file cannot be read.
    """
    text = _read(path)
    return list(_found(firewall, path, text, channel, accepted))


def _found(firewall: Firewall, path: Path, text: str, channel: str, accepted: frozenset[str]) -> Iterator[Finding]:
    told, left = 0, text
    for _ in range(MOST + _MOST_ACCEPTED):
        verdict = firewall.screen(left, channel)
        if not verdict.flagged:
            return
        span = _place(verdict, left)
        finding = _finding(path, text, span or Span(0, len(text)), verdict)
        if finding.hash not in accepted:
            told += 1
            yield finding
        if span is None or told == MOST:
            return
        left = left[: span.start] + re.sub(r"\S", " ", left[span.start : span.end]) + left[span.end :]


def _place(verdict: Verdict, text: str) -> Span | None:
    """The strongest alarm's place; None where none is known, or nothing stands there any more."""
    spans = (alarm.span for alarm in verdict.alarms if alarm.action is not Action.ALLOW)
    return next((span for span in spans if span and text[span.start : span.end].strip()), None)


def _finding(path: Path, text: str, span: Span, verdict: Verdict) -> Finding:
    alarms = [alarm for alarm in verdict.alarms if alarm.action is not Action.ALLOW]
    behavior = alarms[0].behavior if alarms else "screening failed" if verdict.error else "too long"
    rate = alarms[0].false_alarm_rate if alarms else 1.0
    line, column = _line(text, span.start)
    end_line, end_column = _line(text, span.end)
    digest = hashlib.sha256(text[span.start : span.end].encode("utf-8", "surrogatepass")).hexdigest()
    return Finding(path, line, column, end_line, end_column, verdict.action, behavior, rate, verdict.channel, digest)


def _line(text: str, place: int) -> tuple[int, int]:
    return text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_accepted(file: Path) -> frozenset[str]:
    """The hashes in a file of accepted findings: one a line, before any remark; none if there is no file.

    Raises:
        DataError: A line starts with no hash; the message names it.
    """
    if not file.exists():
        return frozenset()
    hashes: set[str] = set()
    for number, line in enumerate(_read(file).splitlines(), 1):
        word = line.partition("#")[0].split()
        if not word:
            continue
        if not _HASH.fullmatch(word[0]):
            raise DataError(f"{file}:{number}: a line starts with a SHA-256 in 64 small hex digits, or with #")
        hashes.add(word[0])
    return frozenset(hashes)
