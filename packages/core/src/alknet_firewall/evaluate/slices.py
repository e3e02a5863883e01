"""The same question for parts of the data: channels, lengths, languages, positions of the payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row
from alknet_firewall.evaluate.bootstrap import rankings
from alknet_firewall.evaluate.languages import NO_LANGUAGE, OTHER_LATIN, language_of_text, languages_grouped
from alknet_firewall.evaluate.metrics import Estimate
from alknet_firewall.evaluate.scoring import ScoredRow
from alknet_firewall.evaluate.sources import share_over

FEWEST_IN_SLICE = 5
"""Rows of a source that a slice needs to count the source."""

_MEAN = "\n"  # the name of no source
_LENGTHS = (100, 300, 1000, 3000)  # characters
_NAMED_LANGUAGES = {
    "arabic": "ar", "chinese": "zh", "english": "en", "french": "fr", "german": "de", "hindi": "hi",
    "italian": "it", "japanese": "ja", "korean": "ko", "portuguese": "pt", "russian": "ru", "spanish": "es",
    "thai": "th", "turkish": "tr",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows.

    Attributes:
        dimension: One of `DIMENSIONS`, or `ALL`.
        value: Which part.
        attacks, benign: How many rows.
        attack_sources, benign_sources: How many sources of `FEWEST_IN_SLICE` rows or more; they weigh the same.
        auroc: Of its attacks against its benign text (for a position: against all), where there is enough of both.
        recall: By rate of false alarms, the share of its attacks above the threshold of all benign text.
        flagged: Share of its attacks that the firewall's own thresholds flag.
        false_alarms: Share of its benign text that they flag.
    """

    dimension: str
    value: str
    attacks: int
    benign: int
    attack_sources: int
    benign_sources: int
    auroc: Estimate | None
    recall: Mapping[float, Estimate]
    flagged: Estimate | None
    false_alarms: Estimate | None


def length_of(row: Row) -> str:
    """The length of a text in characters, as a range."""
    bounds = (0, *_LENGTHS)
    for low, high in zip(bounds, _LENGTHS):
        if len(row.text) <= high:
            return f"{low + 1:,}-{high:,}" if low else f"up to {high:,}"
    return f"over {_LENGTHS[-1]:,}"


def language_of(row: Row) -> str:
    """The language that a row names, as a code where it is known, or else what its text tells; empty if neither."""
    lang = row.lang.strip().lower()
    return _NAMED_LANGUAGES.get(lang, lang.split("-")[0].split("_")[0]) or language_of_text(row.text)


DIMENSIONS = ("channel", "length", "language", "position")
"""What an evaluation is sliced by."""
ALL = "all"
"""A dimension with one part, which is everything."""
_PARTS: dict[str, Callable[[Sequence[Row]], list[str]]] = {
    ALL: lambda rows: [ALL] * len(rows),
    "channel": lambda rows: [row.channel for row in rows],
    "length": lambda rows: [length_of(row) for row in rows],
    "language": lambda rows: languages_grouped([language_of(row) for row in rows]),
    "position": lambda rows: [row.position for row in rows],
}
_ORDER = {
    "channel": ["user", "document", "tool", "response"],
    "length": [length_of(Row("x" * n, "", "", "")) for n in (1, *(length + 1 for length in _LENGTHS))],
    "language": ["en"],
    "position": ["start", "middle", "end", "whole"],
}
_LAST = (OTHER_LATIN, NO_LANGUAGE)


def slices(
    rows: Sequence[ScoredRow],
    thresholds: Mapping[float, float],
    *,
    dimensions: Sequence[str] = DIMENSIONS,
    replicates: int = 200,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Figures of every part of the rows that has attacks or benign text of one source at least.

    Args:
        rows: All of them.
        thresholds: By rate of false alarms, the score for it; from all benign text.
        dimensions: Those of `DIMENSIONS` that are wanted, or `ALL`.
        replicates: Draws of the bootstrap behind the intervals.
        seed: Of the bootstrap.
    """
    judge = _Judge(thresholds, replicates, seed)
    found = []
    listed = [row.row for row in rows]
    for dimension in dimensions:
        parts: dict[str, list[ScoredRow]] = {}
        for row, part in zip(rows, _PARTS[dimension](listed)):
            if part:
                parts.setdefault(part, []).append(row)
        known = _ORDER.get(dimension, [])
        others = sorted(set(parts) - set(known), key=lambda value: (value in _LAST, value))
        for value in [*(v for v in known if v in parts), *others]:
            own = parts[value]
            against = rows if dimension == "position" else own  # benign text has no payload
            if _several(own, ATTACK_LABELS) or _several(own, BENIGN_LABELS):
                found.append(judge.slice(dimension, value, own, _several(against, BENIGN_LABELS)))
    return tuple(found)


_Sources = dict[str, list[ScoredRow]]


def _several(rows: Iterable[ScoredRow], labels: Sequence[str]) -> _Sources:
    """Rows of some labels by source, those with enough rows."""
    sources: _Sources = {}
    for row in rows:
        if row.row.label in labels:
            sources.setdefault(row.row.source, []).append(row)
    return {source: own for source, own in sources.items() if len(own) >= FEWEST_IN_SLICE}


@dataclass(frozen=True)
class _Judge:
    """How slices are judged: all by the same thresholds and draws."""

    thresholds: Mapping[float, float]
    replicates: int
    seed: int

    def slice(self, dimension: str, value: str, rows: Sequence[ScoredRow], against: _Sources) -> Slice:
        attacks, benign = _several(rows, ATTACK_LABELS), _several(rows, BENIGN_LABELS)
        recall = {
            rate: self.share(attacks, lambda row, t=limit: row.score > t)  # type: ignore[misc]
            for rate, limit in self.thresholds.items()
        }
        return Slice(
            dimension=dimension,
            value=value,
            attacks=sum(row.row.label in ATTACK_LABELS for row in rows),
            benign=sum(row.row.label in BENIGN_LABELS for row in rows),
            attack_sources=len(attacks),
            benign_sources=len(benign),
            auroc=self.auroc(attacks, against),
            recall={rate: estimate for rate, estimate in recall.items() if estimate is not None},
            flagged=self.share(attacks, lambda row: row.flagged),
            false_alarms=self.share(benign, lambda row: row.flagged),
        )

    def share(self, sources: _Sources, hit: Callable[[ScoredRow], bool]) -> Estimate | None:
        listed = [row for own in sources.values() for row in own]
        if not listed:
            return None
        return share_over([row.row.source for row in listed], [hit(row) for row in listed], self.seed)

    def auroc(self, attacks: _Sources, against: _Sources) -> Estimate | None:
        if not attacks or not against:
            return None
        ground = [row for own in against.values() for row in own]
        ranked = rankings(
            {source: [row.score for row in own] for source, own in attacks.items()},
            [row.score for row in ground],
            [row.row.source for row in ground],
            rates=(),
            averages={_MEAN: list(attacks)},
            replicates=self.replicates,
            seed=self.seed,
        )
        return ranked[_MEAN].auroc
