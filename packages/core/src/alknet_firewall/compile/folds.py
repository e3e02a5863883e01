"""Which sources stay together, which are left out when, and what each row weighs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.rows import ATTACK_LABELS, Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.errors import DataError

COMPOSED = "gen_"
"""Prefix of the sources that the generators write; they take part in training only."""

_SHINGLE = 10  # tokens
_SKETCH = 16  # shingles kept of a row, those with the smallest hashes (Broder, On the resemblance of documents, 1997)
_RELATED = 0.08  # share of the smaller source's rows that have a shingle in common with the other source
_FULL_WEIGHT = 40  # rows from which on a source has its full weight: a handful of texts is not a source


def related_sources(corpus: Corpus) -> dict[str, int]:
    """Puts sources that share passages into one group, so that leaving one out leaves out its copies.

    Returns:
        The number of its group for every source that was not composed.
    """
    sketches: dict[str, list[set[int]]] = {}
    for window, ids in enumerate(corpus.ids):
        source = corpus.rows[corpus.row[window]].source
        if not source.startswith(COMPOSED) and len(ids) >= _SHINGLE:
            sketches.setdefault(source, []).append(_sketch(ids))
    group = every_source(corpus)
    sources = list(group)
    pooled = {source: set().union(*parts) for source, parts in sketches.items()}
    for i, a in enumerate(sources):
        for b in sources[:i]:
            if a not in pooled or b not in pooled:
                continue
            small, large = sorted((a, b), key=lambda s: len(sketches[s]))
            shared = sum(not part.isdisjoint(pooled[large]) for part in sketches[small])
            if shared >= _RELATED * len(sketches[small]):
                old, new = group[a], group[b]
                group = {source: new if number == old else number for source, number in group.items()}
    return group


def every_source(corpus: Corpus) -> dict[str, int]:
    """Puts every source that was not composed into a group of its own."""
    sources = sorted({row.source for row in corpus.rows if not row.source.startswith(COMPOSED)})
    return {source: i for i, source in enumerate(sources)}


def fold_of_sources(corpus: Corpus, settings: CompileSettings) -> dict[str, int]:
    """The fold that each source which was not composed is left out with.

    Raises:
        DataError: There are too few sources to leave any out.
    """
    groups = related_sources(corpus) if settings.related else every_source(corpus)
    if len(set(groups.values())) < 2 * settings.folds:
        raise DataError(
            f"{len(set(groups.values()))} unrelated sources: leaving some out in {settings.folds} parts needs "
            f"{2 * settings.folds} or more. Give each row its `source`, add data, or lower --folds"
        )
    return assign_folds(corpus, groups, settings.folds, settings.seed)


def assign_folds(corpus: Corpus, groups: dict[str, int], folds: int, seed: int) -> dict[str, int]:
    """Deals groups of sources to folds, those with attacks and those without apart, so that each fold has both."""
    attacking = {row.source for row in corpus.rows if row.label in ATTACK_LABELS}
    members: dict[int, list[str]] = {}
    for source, number in sorted(groups.items()):
        members.setdefault(number, []).append(source)
    generator = np.random.default_rng(seed)
    fold: dict[str, int] = {}
    for with_attacks in (True, False):
        dealt = [m for m in members.values() if any(source in attacking for source in m) == with_attacks]
        generator.shuffle(dealt)
        dealt.sort(key=len, reverse=True)
        sizes = np.zeros(folds)
        for sources in dealt:
            smallest = int(np.argmin(sizes))
            sizes[smallest] += len(sources)
            fold.update(dict.fromkeys(sources, smallest))
    return fold


def row_folds(
    rows: Sequence[Row], fold: Mapping[str, int], classes: npt.NDArray[np.int64], folds: int, fewest: int
) -> npt.NDArray[np.int64]:
    """The fold of each row, (n,): that of its source, -1 for composed rows.

    A behavior that only one source shows cannot be learnt without it: the rows of such a source are dealt by their
    group instead (and the figures for it are then those of more text of the same source).

    Args:
        rows: n rows.
        fold: Of each source.
        classes: 0 for benign, b + 1 for behavior b, (n,).
        folds: How many there are.
        fewest: Rows of a behavior that have to be left when a fold is left out.
    """
    found = np.array([-1 if row.source.startswith(COMPOSED) else fold[row.source] for row in rows], np.int64)
    for behavior in range(1, int(classes.max()) + 1):
        own = classes == behavior
        for number in range(folds):
            if (own & (found != number)).sum() < fewest:
                for i in np.flatnonzero(own & (found == number)).tolist():
                    found[i] = zlib.crc32((rows[i].gid or rows[i].text).encode("utf-8", "replace")) % folds
    return found


def training_rows(
    rows: Sequence[Row], row_fold: npt.NDArray[np.int64], fold: Mapping[str, int], left_out: int
) -> npt.NDArray[np.int64]:
    """Rows that have nothing of the fold left out: none that is in it, no composed text that borrowed there."""
    borrowed = np.array([left_out in {fold.get(source) for source in row.borrowed} for row in rows])
    return np.flatnonzero((row_fold != left_out) & ~borrowed)


def row_weights(
    rows: Sequence[Row], classes: npt.NDArray[np.int64], composed_weight: float
) -> npt.NDArray[np.float64]:
    """Weights for which benign and attacking text, and within them all sources, count the same.

    Args:
        rows: n rows.
        classes: 0 for benign, 1, 2, ... for kinds of attack, (n,).
        composed_weight: Weight of all composed rows of a side, relative to all its others.

    Returns:
        (n,), with mean 1.
    """
    if not rows:  # a channel that no row is of
        return np.zeros(0)
    keys = [(row.source, bool(c)) for row, c in zip(rows, classes)]
    counts: dict[tuple[str, bool], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    weights = np.array([1 / max(counts[key], _FULL_WEIGHT) for key in keys])
    composed = np.array([row.source.startswith(COMPOSED) for row in rows])
    for attack in (False, True):
        side = (classes > 0) == attack
        made, real = side & composed, side & ~composed
        if made.any() and real.any():
            weights[made] *= composed_weight * weights[real].sum() / weights[made].sum()
        if side.any():
            weights[side] /= weights[side].sum()
    result: npt.NDArray[np.float64] = weights * (len(rows) / weights.sum())
    return result


def _sketch(ids: npt.NDArray[np.int32]) -> set[int]:
    shingles = np.lib.stride_tricks.sliding_window_view(ids.astype(np.uint64), _SHINGLE)
    powers = np.uint64(0x100000001B3) ** np.arange(_SHINGLE, dtype=np.uint64)
    hashed = (shingles * powers).sum(1)
    hashed = (hashed ^ (hashed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return set(np.unique(hashed)[:_SKETCH].tolist())
