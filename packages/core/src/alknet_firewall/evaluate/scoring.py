"""Labelled rows through a firewall, in an order that lets a run be stopped at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alknet_firewall.compile.rows import Row
from alknet_firewall.engine import Engine
from alknet_firewall.verdict import Action

_BATCH = 64


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A labelled text and what the firewall said of it.

    Attributes:
        number: Its place among the rows as they were read, from 1.
        row: The text and its labels.
        score: In [0, 1], as in the verdict.
        false_alarm_rate: As in the verdict.
        action: What the firewall would do, at its own thresholds.
    """

    number: int
    row: Row
    score: float
    false_alarm_rate: float
    action: Action

    @property
    def flagged(self) -> bool:
        """True if the action is not `ALLOW`."""
        return self.action is not Action.ALLOW

    @property
    def blocked(self) -> bool:
        """True if the action is `BLOCK`."""
        return self.action is Action.BLOCK


def limited(rows: Iterable[Row], limit: int | None, seed: int = 0) -> list[tuple[int, Row]]:
    """At most `limit` rows of each source and label, chosen by chance; in an order by chance.

    Whatever part of them is scored first is then a fair sample of all.

    Returns:
        Rows with their place among those given, from 1.
    """
    listed = list(rows)
    generator = np.random.default_rng(seed)
    taken: dict[tuple[str, str], int] = {}
    kept = []
    for i in generator.permutation(len(listed)).tolist():
        cell = (listed[i].source, listed[i].label)
        taken[cell] = taken.get(cell, 0) + 1
        if limit is None or taken[cell] <= limit:
            kept.append((i + 1, listed[i]))
    return kept


def score_rows(engine: Engine, rows: Sequence[tuple[int, Row]]) -> Iterator[ScoredRow]:
    """Screens rows, batch by batch; a fault is raised and is not turned into a verdict.

    Args:
        engine: What judges.
        rows: With their numbers, as from `limited`.

    Raises:
        AlknetFirewallError: A row cannot be screened.
    """
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        verdicts = engine.judge([row.text for _, row in batch], [row.channel for _, row in batch])
        for (number, row), verdict in zip(batch, verdicts):
            yield ScoredRow(number, row, verdict.score, verdict.false_alarm_rate, verdict.action)


def sources_seen(engine: Engine) -> frozenset[str]:
    """The sources that the codebook says it was compiled from: figures on them are not of unseen text."""
    rows = engine.codebook.provenance.get("rows", {})
    return frozenset(rows) if isinstance(rows, dict) else frozenset()
