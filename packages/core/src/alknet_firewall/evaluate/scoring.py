"""Labelled rows through a firewall, in an order that lets a run be stopped at any time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from alknet_firewall.compile.rows import Row
from alknet_firewall.evaluate.report import ScoredRow
from alknet_firewall.firewall import Engine

_BATCH = 64


def limited(rows: Iterable[Row], limit: int | None, seed: int = 0) -> list[Row]:
    """At most `limit` rows of each source and label, chosen by chance; in an order by chance.

    Whatever part of them is scored first is then a fair sample of all.
    """
    listed = list(rows)
    generator = np.random.default_rng(seed)
    taken: dict[tuple[str, str], int] = {}
    kept = []
    for i in generator.permutation(len(listed)).tolist():
        cell = (listed[i].source, listed[i].label)
        taken[cell] = taken.get(cell, 0) + 1
        if limit is None or taken[cell] <= limit:
            kept.append(listed[i])
    return kept


def score_rows(engine: Engine, rows: Sequence[Row]) -> Iterator[ScoredRow]:
    """Screens rows, batch by batch; a fault is raised and is not turned into a verdict.

    Raises:
        AlknetFirewallError: A row cannot be screened.
    """
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        verdicts = engine.judge([row.text for row in batch], [row.channel for row in batch])
        for row, verdict in zip(batch, verdicts):
            yield ScoredRow(row.text, row.label, row.source, verdict.score, verdict.action)
