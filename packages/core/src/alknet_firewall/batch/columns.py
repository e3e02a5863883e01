"""The columns that are added to each row: its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alknet_firewall.verdict import Verdict

NAMES = ("action", "flagged", "score", "false_alarm_rate", "behaviors", "spans", "error")
"""In their order, without the prefix."""


def verdict_values(verdict: Verdict, prefix: str = "") -> dict[str, Any]:
    """The columns of one verdict.

    Returns:
        By name: `action`, `flagged`, `score` and `false_alarm_rate` as of the verdict; `behaviors`, the names of what
        alarmed, worst first; `spans`, where each of them stands (`behavior`, `start`, `end`, in characters); `error`,
        None unless screening failed.
    """
    spans = [
        {"behavior": alarm.behavior, "start": alarm.span.start, "end": alarm.span.end}
        for alarm in verdict.alarms
        if alarm.span is not None
    ]
    values = (
        verdict.action.value,
        verdict.flagged,
        verdict.score,
        verdict.false_alarm_rate,
        [alarm.behavior for alarm in verdict.alarms],
        spans,
        verdict.error,
    )
    return {f"{prefix}{name}": value for name, value in zip(NAMES, values)}


def clashes(columns: Mapping[str, str], prefix: str) -> list[str]:
    """Columns of the input that are named like one that is to be added."""
    return [name for name in (f"{prefix}{name}" for name in NAMES) if name in columns]
