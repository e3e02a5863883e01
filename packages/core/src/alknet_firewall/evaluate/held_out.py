"""What leave-one-source-out says of a codebook that was just compiled: each fold judged by a fit that never saw it.

A file of left-out rows (`alknet-firewall compile --held-out`) holds one JSON object a line: the row's own fields, and
`fold`, `log_odds` by behavior, and `log_rate`, the logarithm of its false-alarm rate. It is itself a file of labelled
rows, with their texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alknet_firewall.codebook.calibration import score_of
from alknet_firewall.codebook.compose import Thresholds
from alknet_firewall.compile.evidence import HeldOut
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row, read_rows
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate.bootstrap import rankings
from alknet_firewall.evaluate.metrics import Estimate, Ranking, large_enough
from alknet_firewall.evaluate.scoring import ScoredRow

_LOWEST_RATE = 1e6  # nats


def held_out_rankings(held_out: HeldOut, replicates: int = 200) -> dict[str, Ranking]:
    """Ranks every attack source against the benign sources that were left out together with it.

    Args:
        held_out: From `compile_codebook`.
        replicates: Of the bootstrap.

    Returns:
        By source.
    """
    scores = np.logaddexp.reduce(held_out.log_odds, axis=1)
    sources = np.array([row.source for row in held_out.rows])
    attacking = np.array([row.label in ATTACK_LABELS for row in held_out.rows])
    benign = np.array([row.label in BENIGN_LABELS for row in held_out.rows])
    found: dict[str, Ranking] = {}
    for fold in np.unique(held_out.fold):
        here = held_out.fold == fold
        ground = here & benign
        ground &= np.isin(sources, sorted(large_enough(sources[ground].tolist())))
        named = sorted(large_enough(sources[here & attacking].tolist()))
        attacks = {name: scores[here & attacking & (sources == name)] for name in named}
        if attacks and ground.any():
            found |= rankings(attacks, scores[ground], sources[ground].tolist(), replicates=replicates)
    return dict(sorted(found.items()))


def macro(found: Mapping[str, Ranking]) -> dict[str, float]:
    """Means over sources, JSON-ready: `auroc`, `recall_at_0.01`, `recall_at_0.05`."""
    if not found:  # every source is too small to be judged
        return {}
    means = {"auroc": float(np.mean([ranking.auroc.value for ranking in found.values()]))}
    for rate in next(iter(found.values())).recall:
        means[f"recall_at_{rate:g}"] = float(
            np.mean([ranking.recall[rate].value for ranking in found.values()])
        )
    return means


def held_out_lines(held_out: HeldOut, behaviors: Sequence[str]) -> bytes:
    """A file of left-out rows.

    Args:
        held_out: From `compile_codebook`, with rates.
        behaviors: Names of the columns of its log-odds.
    """
    lines = []
    rates = held_out.log_rates
    for i, row in enumerate(held_out.rows):
        fields: dict[str, object] = {name: value for name, value in asdict(row).items() if value}
        fields["fold"] = int(held_out.fold[i])
        fields["log_odds"] = dict(zip(behaviors, held_out.log_odds[i].round(4).tolist()))
        fields["log_rate"] = None if rates is None else round(float(rates[i]), 4)
        lines.append(json.dumps(fields))
    return "".join(f"{line}\n" for line in lines).encode()


def scored_held_out(path: Path, thresholds: Thresholds) -> list[ScoredRow]:
    """Left-out rows as a firewall with these thresholds would have judged them.

    Raises:
        DataError: The file cannot be read, or holds other rows.
    """
    scored = []
    for number, row, told in held_out_fields(path):
        rate = told.get("log_rate")
        if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not -_LOWEST_RATE <= rate <= 0:
            raise DataError(f"{path}, line {number}: no `log_rate`; compile --held-out writes such files")
        share = math.exp(rate)
        scored.append(ScoredRow(number, row, score_of(rate), share, thresholds.action(share)))
    return scored


def held_out_fields(path: Path) -> Iterator[tuple[int, Row, dict[str, Any]]]:
    """The number, the row and all fields of each line of a file of left-out rows.

    Raises:
        DataError: The file cannot be read, or a line is no row.
    """
    rows = list(read_rows([path]))
    lines = (line for line in path.read_text(encoding="utf-8").split("\n") if line.strip())
    for number, (row, line) in enumerate(zip(rows, lines), 1):
        yield number, row, json.loads(line)


def shown(estimate: Estimate) -> str:
    """An estimate with its interval, as in `0.93 (0.91-0.95)`."""
    return f"{estimate.value:.2f} ({estimate.low:.2f}-{estimate.high:.2f})"
