"""From labelled rows to a codebook.

1. Rows are chosen, composed ones added, all cut into windows, and the detector's states computed once.
2. The sources are dealt to folds. For each fold everything is fitted without it, and gives evidence on it: evidence on
   sources that took no part is what the last steps learn from, so that neither the weight of words against states nor
   the false-alarm rates are those of text that was fitted to.
3. Evidence from states and from words is combined, the combination is calibrated to false-alarm rates by channel.
4. Everything is fitted once more to all rows: this is what goes into the codebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.exponent import windows_exponent
from alknet_firewall.codebook.lexical import folded_ids
from alknet_firewall.codebook.model import CodebookBehavior, Lexicon
from alknet_firewall.codebook.readout import BUILT_IN, Readout
from alknet_firewall.compile.corpus import Corpus, choose_rows, cut_rows
from alknet_firewall.compile.evidence import FEWEST, HeldOut, OutOfFold, out_of_fold
from alknet_firewall.compile.features import Features, make_features
from alknet_firewall.compile.fit import fit_group
from alknet_firewall.compile.folds import COMPOSED, fold_of_sources
from alknet_firewall.compile.generators import composed_rows
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.stack import Stack, benign_weights
from alknet_firewall.compile.states import StateStore
from alknet_firewall.detector.detector import Detector
from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done."""

FINER = ("bf16", "fp32")
"""Precisions that are nearer to the mathematics than int8: what holds there holds in them."""
_FEWEST_BENIGN = 200  # texts under which a channel's false-alarm rates would say too little
_STANDS_FOR: Mapping[str, Mapping[str, float]] = {
    "response": dict.fromkeys(CHANNELS, 1.0),
    "tool": {"tool": 1.0, "document": 0.1},
}
"""For channels that more than their own benign text is harmless in, what a source of each channel weighs.

An answer can look like anything. Tools return pages and files as well, and calibrated to machine text alone would flag
one in six of them.
"""


@dataclass(frozen=True)
class Group:
    """A group calibrated on what was left out, and fitted to everything."""

    behaviors: dict[str, CodebookBehavior]
    combined: dict[str, RateTable]
    bands: dict[str, float] | None
    held_out: HeldOut


def compile_codebook(
    rows: Sequence[Row],
    detector: Detector,
    settings: CompileSettings,
    cache: Path,
    *,
    readouts: Mapping[str, Readout] = BUILT_IN,
    provenance: Mapping[str, Any] | None = None,
    detector_name: str = "",
    progress: Progress = lambda stage, share: None,
) -> tuple[Codebook, HeldOut]:
    """Compiles a codebook.

    Args:
        rows: Labelled rows of several sources.
        detector: It must read `settings.taps`.
        settings: Choices.
        cache: Folder for hidden states; a later run with the same rows and detector takes them from there.
        readouts: Those at hand, by name.
        provenance: Added to what the codebook says of its origin.
        detector_name: The detector in words.
        progress: Told of every stage.

    Returns:
        The codebook, and the evidence on sources that were left out.

    Raises:
        DataError: There is too little of a label, or too few sources to leave any out.
    """
    progress("choosing rows", 0.0)
    chosen = choose_rows([row for row in rows if row.label in (*BENIGN_LABELS, *ATTACK_LABELS, "harmful")], settings)
    composed = composed_rows(rows, settings.composed, settings.seed) if settings.composed else []
    corpus = cut_rows([*chosen, *composed], detector.tokenizer, settings)
    behaviors = [name for name in ATTACK_LABELS if corpus.label(name).sum() >= FEWEST]
    if not behaviors or corpus.label(*BENIGN_LABELS).sum() < FEWEST:
        raise DataError(
            f"a codebook needs at least {FEWEST} benign rows and {FEWEST} of {' or '.join(ATTACK_LABELS)}"
        )
    fold_of = fold_of_sources(corpus, settings)
    store = StateStore(detector, corpus.ids, cache)
    store.compute(lambda done, total: progress("hidden states", done / total))
    progress("reading states", 0.0)
    folded = folded_ids(detector.tokenizer.vocabulary)
    features = make_features(corpus, store, folded, settings, readouts)
    attack = compile_group(
        corpus, fold_of, features, folded, behaviors, "block", BENIGN_LABELS, settings, readouts, progress
    )
    known = dict(attack.behaviors)
    if corpus.label("harmful").sum() >= FEWEST:
        # Plain harmful requests attack nobody: users' text only, fewer heads, and by default it only informs.
        small = replace(
            settings, directions=max(1, settings.directions // 2), taps=settings.taps[:1], cascade=None
        )
        harmful = compile_group(
            corpus, fold_of, features, folded, ["harmful"], "inform", BENIGN_LABELS, small, readouts, progress
        )
        known.update(harmful.behaviors)
    codebook = assembled(
        detector, detector_name, settings, corpus, provenance, behaviors=known, combined=attack.combined,
        group=tuple(behaviors), cascade=attack.bands,
    )  # fmt: skip
    return codebook, attack.held_out


def assembled(
    detector: Detector, detector_name: str, settings: CompileSettings, corpus: Corpus,
    provenance: Mapping[str, Any] | None, **parts: Any,
) -> Codebook:  # fmt: skip
    """A codebook of `parts` (`behaviors`, `combined`, ...) that says for which detector it was made, and of what."""
    rows = {"settings": _plain(asdict(settings)), "rows": _row_counts(corpus.rows)}
    return Codebook(
        fingerprint=detector.fingerprint, detector=detector_name, taps=detector.taps,
        precisions=tuple(sorted({detector.model.precision, *FINER})), window=settings.window,
        provenance={**rows, **(provenance or {})}, **parts,
    )  # fmt: skip


def compile_group(
    corpus: Corpus,
    fold_of: Mapping[str, int],
    features: Features,
    folded: npt.NDArray[np.uint64],
    behaviors: list[str],
    default_action: str,
    benign: tuple[str, ...],
    settings: CompileSettings,
    readouts: Mapping[str, Readout],
    progress: Progress,
) -> Group:
    """Fits behaviors that have their benign labels in common: without sources, with all of them; and calibrates."""
    found = out_of_fold(corpus, fold_of, features, behaviors, benign, settings, progress)
    log_odds = found.log_odds(settings)
    stack = Stack.fit(corpus, found.rows, found.classes, found.evidence, settings)
    tables = _tables(corpus, found, log_odds, benign)
    combined = _tables(corpus, found, np.logaddexp.reduce(log_odds, axis=1)[:, None], benign)
    used = np.flatnonzero(corpus.label(*behaviors, *benign))
    final = fit_group(
        corpus, features, used, np.arange(len(corpus.rows)), found.classes[used], settings, len(behaviors),
        lambda share: progress(f"{' and '.join(behaviors)}: all rows", share),
    )  # fmt: skip
    lexicon = None if final.words is None else Lexicon(folded, final.words.rarity)
    made = {
        behavior: stack.behavior(b, behavior, default_action, final, lexicon, tables[b], readouts, settings.stretch)
        for b, behavior in enumerate(behaviors)
    }
    held_out = replace(found.held_out(log_odds), log_rates=_left_out_rates(corpus, found, log_odds, benign))
    return Group(made, combined[0], stack.bands, held_out)


def _tables(
    corpus: Corpus, found: OutOfFold, log_odds: FloatArray, benign: tuple[str, ...]
) -> list[dict[str, RateTable]]:
    """For each column of `log_odds` (windows, columns) a table a channel, from the windows of benign rows."""
    tables: list[dict[str, RateTable]] = [{} for _ in range(log_odds.shape[1])]
    position = found.position
    own = [corpus.rows[i] for i in found.rows]
    windows_of = np.split(np.arange(len(position)), np.flatnonzero(np.diff(position)) + 1)  # of each row
    for channel in CHANNELS:
        stands = _STANDS_FOR.get(channel, {channel: 1.0})
        usable, weights = benign_weights(own, benign, tuple(stands))
        weights *= [stands.get(row.channel, 0.0) for row in own]
        own_share = np.where([row.channel == channel for row in own], weights, 0.0)
        if _effective(own_share) < _FEWEST_BENIGN:  # too little of this channel: all benign text stands for it
            usable, weights = benign_weights(own, benign, CHANNELS)
        hit = usable[position]
        share = (weights / np.maximum(np.bincount(position, minlength=len(own)), 1))[position[hit]]
        texts = [windows_of[i] for i in np.flatnonzero(usable).tolist()]
        for column in range(log_odds.shape[1]):
            # Windows of one text are not independent: what can be known is bounded by the number of texts.
            table = RateTable.fit(log_odds[hit, column], share, count=_effective(weights))
            exponent = windows_exponent([log_odds[text, column] for text in texts], weights[usable])
            tables[column][channel] = replace(table, windows_exponent=exponent)
    return tables


def _left_out_rates(
    corpus: Corpus, found: OutOfFold, log_odds: FloatArray, benign: tuple[str, ...]
) -> FloatArray:
    """Logarithms of the false-alarm rates of whole rows, (n,), each by tables of the other folds."""
    summed = np.logaddexp.reduce(log_odds, axis=1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(found.position)) + 1])
    worst, counts = np.maximum.reduceat(summed, starts), np.bincount(found.position)
    rates = np.empty(len(found.rows))
    own_fold = found.fold[found.rows]
    for fold in np.unique(own_fold).tolist():
        others = replace(found, rows=found.rows[own_fold != fold])
        (tables,) = _tables(corpus, others, summed[own_fold[found.position] != fold][:, None], benign)
        for i in np.flatnonzero(own_fold == fold).tolist():
            channel = corpus.rows[int(found.rows[i])].channel
            rates[i] = tables[channel].log_rate(float(worst[i]), int(counts[i]))
    return rates


def _effective(weights: FloatArray) -> float:
    """How many texts of equal weight tell as much (Kish, Survey Sampling, 1965)."""
    return float(weights.sum() ** 2 / np.sum(weights**2)) if weights.any() else 0.0


def _row_counts(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        source = row.source if not row.source.startswith(COMPOSED) else "_".join(row.source.split("_")[:2])
        labels = counts.setdefault(source, {})
        labels[row.label] = labels.get(row.label, 0) + 1
    return {source: dict(sorted(labels.items())) for source, labels in sorted(counts.items())}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
