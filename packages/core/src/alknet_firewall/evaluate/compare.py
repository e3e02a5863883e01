"""Several detectors on the same rows: the same figures, drawn together."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alknet_firewall.compile.rows import ATTACK_LABELS, Row
from alknet_firewall.engine import Engine
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate.bootstrap import Draws
from alknet_firewall.evaluate.curves import detection_curves
from alknet_firewall.evaluate.figures import with_text_keys
from alknet_firewall.evaluate.metrics import Estimate, FloatArray, Ranking
from alknet_firewall.evaluate.peers import Peer
from alknet_firewall.evaluate.sources import ALL_ATTACKS, BySource, Cell, name_of

BATCH = 32
"""Texts that a detector is given at once; the time of a text is that of its batch, divided."""

OURS = "alknet-firewall"


@dataclass(frozen=True, slots=True)
class Scores:
    """What one detector said of some rows.

    Attributes:
        name: Of the detector.
        values: Its scores, in the order of the rows.
        flagged: What it would flag at its own threshold; empty where it has none.
        seconds: Wall-clock time spent.
    """

    name: str
    values: tuple[float, ...]
    flagged: tuple[bool, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """One detector.

    Attributes:
        name: Of the detector.
        rankings: By mean: each attack label, and `attack` for all.
        lead: The same for how far ours is ahead of it, from the same draws; empty for ours.
        sources: By attack source and label.
        flagged: By mean, the share of attacks at its own threshold; empty where it has none.
        false_alarms: The share of benign text at its own threshold; None where it has none.
        seconds: Wall-clock time a text.
        curve: Recall over all attack sources by rate of false alarms.
    """

    name: str
    rankings: Mapping[str, Ranking]
    lead: Mapping[str, Ranking]
    sources: tuple[tuple[Cell, Ranking], ...]
    flagged: Mapping[str, Estimate]
    false_alarms: Estimate | None
    seconds: float
    curve: Mapping[float, Estimate]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several detectors on the same rows.

    Attributes:
        rows, benign: How many texts, and how many of them are benign and ranked against.
        attack_sources, benign_sources: How many.
        detectors: Ours first.
    """

    rows: int
    benign: int
    attack_sources: int
    benign_sources: int
    detectors: tuple[PeerFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; rates are keys such as `0.01`."""
        plain: dict[str, Any] = with_text_keys(asdict(self))
        return plain


def score_all(engine: Engine, peers: Sequence[Peer], rows: Sequence[Row]) -> Iterator[list[Scores]]:
    """Lets every detector judge the rows, batch by batch: whenever this is stopped, all have judged the same rows.

    Each is warmed up with one text that is not timed.

    Args:
        engine: Ours.
        peers: The others.
        rows: In the order in which they are judged.

    Yields:
        For each batch what all said of it, ours first; `merged` puts batches together.

    Raises:
        AlknetFirewallError: A detector fails, or gives something that is not a finite number a text.
    """
    engine.judge(["warm up"], ["user"])
    for peer in peers:
        _judged(peer, ["warm up"])
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        began = time.perf_counter()
        verdicts = engine.judge([row.text for row in batch], [row.channel for row in batch])
        seconds = time.perf_counter() - began
        ours = tuple(verdict.score for verdict in verdicts)
        found = [Scores(OURS, ours, tuple(verdict.flagged for verdict in verdicts), seconds)]
        for peer in peers:
            began = time.perf_counter()
            values = _judged(peer, [row.text for row in batch])
            seconds = time.perf_counter() - began
            limit = peer.threshold
            flagged = () if limit is None else tuple(value > limit for value in values)
            found.append(Scores(peer.name, values, flagged, seconds))
        yield found


def merged(batches: Sequence[Sequence[Scores]]) -> list[Scores]:
    """What each detector said of all batches together."""
    return [
        Scores(
            parts[0].name,
            tuple(value for part in parts for value in part.values),
            tuple(flag for part in parts for flag in part.flagged),
            sum(part.seconds for part in parts),
        )
        for parts in zip(*batches)
    ]


def compare(
    rows: Sequence[Row], scores: Sequence[Scores], *, replicates: int = 500, seed: int = 0
) -> Comparison:
    """Figures of several detectors.

    Args:
        rows: n of them, benign text and attacks.
        scores: Of all n rows, ours first.
        replicates: Draws of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        DataError: Benign text or attacks are missing.
    """
    by_source = BySource.of(rows)
    if not by_source.means:
        raise DataError(
            f"a comparison needs attacks (rows labelled {' or '.join(ATTACK_LABELS)}); there are none"
        )
    arrays = [np.array(one.values) for one in scores]
    drawn = [by_source.draw(array, replicates=replicates, seed=seed) for array in arrays]
    return Comparison(
        rows=len(rows),
        benign=len(by_source.benign),
        attack_sources=len({source for source, _ in by_source.means[ALL_ATTACKS]}),
        benign_sources=len(by_source.benign_counted),
        detectors=tuple(
            _figures(one, array, own, drawn[0] if i else None, by_source, seed)
            for i, (one, array, own) in enumerate(zip(scores, arrays, drawn))
        ),
    )


def _figures(
    scores: Scores, array: FloatArray, own: Draws, ours: Draws | None, by_source: BySource, seed: int
) -> PeerFigures:
    found = own.rankings()
    ahead = ours.lead(own) if ours else {}
    return PeerFigures(
        name=scores.name,
        rankings={mean: found[mean] for mean in by_source.means},
        lead={mean: ahead[mean] for mean in by_source.means} if ahead else {},
        sources=tuple((cell, found[name_of(cell)]) for cell in by_source.cells),
        flagged={mean: by_source.attack_share(mean, scores.flagged, seed) for mean in by_source.means}
        if scores.flagged
        else {},
        false_alarms=by_source.benign_share(scores.flagged, seed) if scores.flagged else None,
        seconds=scores.seconds / len(scores.values),
        curve=detection_curves(by_source, array, seed=seed)[ALL_ATTACKS],
    )


def _judged(peer: Peer, texts: list[str]) -> tuple[float, ...]:
    try:
        values = tuple(map(float, peer.score(texts)))
    except (
        Exception
    ) as error:  # what a stranger's code raises cannot be known; the text must not be in the message
        raise DataError(f"the peer {peer.name} failed ({type(error).__name__})") from error
    if len(values) != len(texts) or not all(math.isfinite(value) for value in values):
        raise DataError(f"the peer {peer.name} gave something that is not one finite number a text")
    return values
