"""Counts of verdicts: of a part, and added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from alknet_firewall.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts.

    Attributes:
        rows: Screened.
        rejected: Malformed, set aside.
        actions: Rows by action.
        behaviors: Rows by behavior that alarmed.
        errors: Rows on which screening failed.
        truncated: Rows of which only the beginning was read.
        tokens: Read.
        distinct: Texts that were screened: repeats in a part have the verdict of the first.
        seconds: Of work, of all workers together.
    """

    rows: int = 0
    rejected: int = 0
    actions: Mapping[str, int] = field(default_factory=dict)
    behaviors: Mapping[str, int] = field(default_factory=dict)
    errors: int = 0
    truncated: int = 0
    tokens: int = 0
    distinct: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], rejected: int, distinct: int, seconds: float) -> Tally:
        """Of the verdicts on a part."""
        return cls(
            rows=len(verdicts),
            rejected=rejected,
            actions=dict(Counter(verdict.action.value for verdict in verdicts)),
            behaviors=dict(Counter(alarm.behavior for verdict in verdicts for alarm in verdict.alarms)),
            errors=sum(verdict.error is not None for verdict in verdicts),
            truncated=sum(verdict.truncated for verdict in verdicts),
            tokens=sum(verdict.tokens for verdict in verdicts),
            distinct=distinct,
            seconds=seconds,
        )

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together."""
        sums: Counter[str] = Counter()
        actions: Counter[str] = Counter()
        behaviors: Counter[str] = Counter()
        for tally in tallies:
            actions.update(tally.actions)
            behaviors.update(tally.behaviors)
            sums.update(
                {name: value for name, value in tally.to_dict().items() if not isinstance(value, dict)}
            )
        return cls(**sums, actions=dict(actions), behaviors=dict(behaviors))

    @property
    def flagged(self) -> int:
        """Rows that are not allowed."""
        return self.rows - self.actions.get("allow", 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Tally:
        """From `to_dict`, whatever else is in it."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})
