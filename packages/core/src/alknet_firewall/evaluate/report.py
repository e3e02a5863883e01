"""Scored rows in, figures by source out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate.metrics import Estimate, Ranking, equal_weights, rankings, threshold, wilson
from alknet_firewall.verdict import Action

APART_LABELS = ("harmful",)
"""Reported, but no attack on the reader: not in the averages."""
RATES = (0.01, 0.05)

_Cell = tuple[str, str]  # source, label


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A labelled text and what the firewall said of it."""

    text: str
    label: str
    source: str
    score: float
    action: Action


@dataclass(frozen=True, slots=True)
class AttackFigures:
    """A source's attacks of one label, or the mean over several of them (`source` is then `mean`).

    Attributes:
        source, label: Which.
        n: How many texts.
        ranking: Against all benign text.
        flagged, blocked: Share of them, at the firewall's own thresholds.
    """

    source: str
    label: str
    n: int
    ranking: Ranking
    flagged: float
    blocked: float


@dataclass(frozen=True, slots=True)
class BenignFigures:
    """A source's benign texts of one label.

    Attributes:
        source, label: Which.
        n: How many texts.
        flagged, blocked: Share of false alarms at the firewall's own thresholds.
    """

    source: str
    label: str
    n: int
    flagged: Estimate
    blocked: Estimate


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found.

    Attributes:
        attacks: By source and label.
        averages: Means over sources: of each attack label, and of all attacks.
        apart: By source, labels that are no attack.
        benign: By source and label.
        benign_flagged, benign_blocked: Mean over benign sources.
        thresholds: By rate of false alarms, the score above which that share of benign text lies.
        ignored: Rows by label that the evaluation does not use.
    """

    attacks: tuple[AttackFigures, ...]
    averages: tuple[AttackFigures, ...]
    apart: tuple[AttackFigures, ...]
    benign: tuple[BenignFigures, ...]
    benign_flagged: float
    benign_blocked: float
    thresholds: dict[float, float]
    ignored: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; rates are keys such as `0.01`."""
        plain: dict[str, Any] = _with_text_keys(asdict(self))
        return plain


def report(rows: Sequence[ScoredRow], *, replicates: int = 500, seed: int = 0) -> Report:
    """Figures of scored rows.

    Args:
        rows: Benign texts at least; attacks are ranked against all of them, sources weighing the same.
        replicates: Draws of the bootstrap behind the intervals.
        seed: Of the bootstrap.

    Raises:
        DataError: No row is benign.
    """
    cells: dict[_Cell, list[ScoredRow]] = {}
    for row in rows:
        cells.setdefault((row.source, row.label), []).append(row)
    benign = [row for row in rows if row.label in BENIGN_LABELS]
    if not benign:
        wanted = " or ".join(BENIGN_LABELS)
        raise DataError(f"an evaluation needs benign text (rows labelled {wanted}); there is none")
    scores, sources = [row.score for row in benign], [row.source for row in benign]
    ranked = sorted(cell for cell in cells if cell[1] in ATTACK_LABELS + APART_LABELS)
    means = _means(ranked)
    found = rankings(
        {_name(cell): [row.score for row in cells[cell]] for cell in ranked},
        scores,
        sources,
        rates=RATES,
        averages={_name(mean): [_name(cell) for cell in members] for mean, members in means.items()},
        replicates=replicates,
        seed=seed,
    )
    single = {cell: _attack(cell, cells[cell], found[_name(cell)]) for cell in ranked}
    false_alarms = tuple(_benign(cell, cells[cell]) for cell in sorted(cells) if cell[1] in BENIGN_LABELS)
    weights = equal_weights(sources)
    used = (*BENIGN_LABELS, *ATTACK_LABELS, *APART_LABELS)
    return Report(
        attacks=tuple(single[cell] for cell in ranked if cell[1] in ATTACK_LABELS),
        averages=tuple(
            _average(mean, [single[cell] for cell in members], found[_name(mean)])
            for mean, members in means.items()
        ),
        apart=tuple(single[cell] for cell in ranked if cell[1] in APART_LABELS),
        benign=false_alarms,
        benign_flagged=float(sum(w for w, row in zip(weights, benign) if row.action is not Action.ALLOW)),
        benign_blocked=float(sum(w for w, row in zip(weights, benign) if row.action is Action.BLOCK)),
        thresholds={rate: threshold(scores, rate, weights) for rate in RATES},
        ignored=dict(sorted(Counter(row.label for row in rows if row.label not in used).items())),
    )


def worst(rows: Sequence[ScoredRow], count: int) -> tuple[list[ScoredRow], list[ScoredRow]]:
    """The attacks that scored lowest, and the benign texts that scored highest; `count` of each at most."""
    attacks = sorted((row for row in rows if row.label in ATTACK_LABELS), key=lambda row: row.score)
    benign = sorted((row for row in rows if row.label in BENIGN_LABELS), key=lambda row: -row.score)
    return attacks[:count], benign[:count]


def _means(ranked: Sequence[_Cell]) -> dict[_Cell, list[_Cell]]:
    means: dict[_Cell, list[_Cell]] = {}
    for label in ATTACK_LABELS:
        members = [cell for cell in ranked if cell[1] == label]
        if members:
            means["mean", label] = members
    attacks = [cell for members in means.values() for cell in members]
    return {**means, ("mean", "attack"): attacks} if attacks else {}


def _attack(cell: _Cell, rows: Sequence[ScoredRow], ranking: Ranking) -> AttackFigures:
    flagged, blocked = _shares(rows)
    return AttackFigures(*cell, len(rows), ranking, flagged, blocked)


def _average(mean: _Cell, members: Sequence[AttackFigures], ranking: Ranking) -> AttackFigures:
    flagged = sum(member.flagged for member in members) / len(members)
    blocked = sum(member.blocked for member in members) / len(members)
    return AttackFigures(*mean, sum(member.n for member in members), ranking, flagged, blocked)


def _benign(cell: _Cell, rows: Sequence[ScoredRow]) -> BenignFigures:
    n = len(rows)
    flagged, blocked = _shares(rows)
    return BenignFigures(*cell, n, wilson(round(flagged * n), n), wilson(round(blocked * n), n))


def _shares(rows: Sequence[ScoredRow]) -> tuple[float, float]:
    flagged = sum(row.action is not Action.ALLOW for row in rows)
    return flagged / len(rows), sum(row.action is Action.BLOCK for row in rows) / len(rows)


def _name(cell: _Cell) -> str:
    return "\n".join(cell)  # neither part holds a line feed that would matter: names only tell cells apart


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(part) for key, part in value.items()}
    return [_with_text_keys(part) for part in value] if isinstance(value, (list, tuple)) else value
