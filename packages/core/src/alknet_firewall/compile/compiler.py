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
from alknet_firewall.codebook.lexical import folded_ids
from alknet_firewall.codebook.model import CodebookBehavior, Lexicon
from alknet_firewall.codebook.readout import BUILT_IN, Readout
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.compile.combine import logistic_weights
from alknet_firewall.compile.corpus import Corpus, choose_rows, cut_rows
from alknet_firewall.compile.features import Features, make_features
from alknet_firewall.compile.fit import Fitted, density_pairs, fit_group, strongest_windows
from alknet_firewall.compile.folds import (
    COMPOSED,
    assign_folds,
    every_source,
    related_sources,
    row_folds,
    row_weights,
    training_rows,
)
from alknet_firewall.compile.generators import composed_rows
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.states import StateStore
from alknet_firewall.detector.detector import Detector
from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Progress = Callable[[str, float], None]
"""Called with the name of a stage and the share of it that is done."""

_FEWEST = 30  # rows of a label that a behavior needs
_FEWEST_BENIGN = 200  # texts under which a channel's false-alarm rates would say too little
_RIDGE = 1e-3
_STANDS_FOR = {"response": CHANNELS}
"""Channels that have little benign text of their own: an answer can look like anything that is harmless elsewhere."""


@dataclass(frozen=True)
class HeldOut:
    """What the cross-validation saw: the evidence on rows whose source was left out.

    Attributes:
        rows: Rows, none of them composed.
        fold: The fold of each, (n,).
        log_odds: Of each behavior of the attack group in the strongest window, (n, behaviors).
    """

    rows: list[Row]
    fold: IntArray
    log_odds: FloatArray


@dataclass(frozen=True)
class _Group:
    """A group calibrated on what was left out, and fitted to everything."""

    behaviors: dict[str, CodebookBehavior]
    combined: dict[str, RateTable]
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
    behaviors = [name for name in ATTACK_LABELS if corpus.label(name).sum() >= _FEWEST]
    if not behaviors or corpus.label(*BENIGN_LABELS).sum() < _FEWEST:
        raise DataError(
            f"a codebook needs at least {_FEWEST} benign rows and {_FEWEST} of {' or '.join(ATTACK_LABELS)}"
        )
    store = StateStore(detector, corpus.ids, cache)
    store.compute(lambda done, total: progress("hidden states", done / total))
    progress("reading states", 0.0)
    folded = folded_ids(detector.tokenizer.vocabulary)
    features = make_features(corpus, store, folded, settings, readouts)
    attack = _compile_group(
        corpus, features, folded, behaviors, "block", BENIGN_LABELS, settings, readouts, progress
    )
    known = dict(attack.behaviors)
    if corpus.label("harmful").sum() >= _FEWEST:
        # Plain harmful requests attack nobody: users' text only, fewer heads, and by default it only informs.
        small = replace(settings, directions=max(1, settings.directions // 2))
        harmful = _compile_group(
            corpus, features, folded, ["harmful"], "inform", BENIGN_LABELS, small, readouts, progress
        )
        known.update(harmful.behaviors)
    codebook = Codebook(
        fingerprint=detector.fingerprint,
        detector=detector_name,
        taps=detector.taps,
        precisions=tuple(sorted({detector.model.precision, "fp32"})),
        window=settings.window,
        behaviors=known,
        combined=attack.combined,
        group=tuple(behaviors),
        provenance={
            "settings": _plain(asdict(settings)),
            "rows": _counts(corpus.rows),
            **(provenance or {}),
        },
    )
    return codebook, attack.held_out


def _compile_group(
    corpus: Corpus,
    features: Features,
    folded: npt.NDArray[np.uint64],
    behaviors: list[str],
    default_action: str,
    benign: tuple[str, ...],
    settings: CompileSettings,
    readouts: Mapping[str, Readout],
    progress: Progress,
) -> _Group:
    name = " and ".join(behaviors)
    used = np.flatnonzero(corpus.label(*behaviors, *benign))
    classes = np.array(
        [behaviors.index(row.label) + 1 if row.label in behaviors else 0 for row in corpus.rows]
    )
    fold_of = _folds(corpus, settings)
    row_fold = row_folds(corpus.rows, fold_of, classes, settings.folds, _FEWEST)
    real: IntArray = np.array([i for i in used.tolist() if not corpus.rows[i].source.startswith(COMPOSED)])
    from_states = np.zeros((len(corpus.row), len(behaviors)))
    from_words = np.zeros_like(from_states)
    for fold in range(settings.folds):
        rows = np.intersect1d(training_rows(corpus.rows, row_fold, fold_of, fold), used)
        for b, behavior in enumerate(behaviors):
            if (classes[rows] == b + 1).sum() < 2 or (classes[rows] == 0).sum() < 2:
                raise DataError(f"{behavior}: its rows and benign ones must come from sources of more than one fold")
        stage = f"{name}: fold {fold + 1} of {settings.folds}"
        fitted = fit_group(
            corpus,
            features,
            rows,
            np.flatnonzero(row_fold != fold),
            classes[rows],
            settings,
            len(behaviors),
            lambda share, at=stage: progress(at, share),  # type: ignore[misc]
        )
        out = real[row_fold[real] == fold]
        windows = corpus.windows_of(out)
        states, words = fitted.evidence()
        from_states[windows], from_words[windows] = states[windows], words[windows]
    windows = corpus.windows_of(real)
    position = np.searchsorted(real, corpus.row[windows])
    log_odds = np.zeros((len(windows), len(behaviors)))
    for fold in range(settings.folds):  # nor does the combination see the sources that it is judged on
        others = _Stack.fit(corpus, real[row_fold[real] != fold], classes, from_states, from_words, settings)
        own = row_fold[real][position] == fold
        log_odds[own] = others.log_odds(from_states[windows[own]], from_words[windows[own]])
    stack = _Stack.fit(corpus, real, classes, from_states, from_words, settings)
    tables = _tables(corpus, real, windows, log_odds, benign, settings)
    combined = _tables(
        corpus, real, windows, np.logaddexp.reduce(log_odds, axis=1)[:, None], benign, settings
    )
    strongest = strongest_windows(np.logaddexp.reduce(log_odds, axis=1), position)
    held_out = HeldOut([corpus.rows[i] for i in real], row_fold[real], log_odds[strongest])
    final = fit_group(
        corpus, features, used, np.arange(len(corpus.rows)), classes[used], settings, len(behaviors),
        lambda share: progress(f"{name}: all rows", share),
    )  # fmt: skip
    lexicon = None if final.words is None else Lexicon(folded, final.words.rarity)
    made = {
        behavior: stack.behavior(b, behavior, default_action, final, lexicon, tables[b], readouts)
        for b, behavior in enumerate(behaviors)
    }
    return _Group(made, combined[0], held_out)


@dataclass(frozen=True)
class _Stack:
    """How evidence from states and from words adds up, learnt on sources that neither was fitted to."""

    words: list[tuple[Splines, Splines]] | None
    weights: list[FloatArray]
    biases: list[float]

    @classmethod
    def fit(
        cls,
        corpus: Corpus,
        rows: IntArray,
        classes: IntArray,
        from_states: FloatArray,
        from_words: FloatArray,
        settings: CompileSettings,
    ) -> _Stack:
        windows = corpus.windows_of(rows)
        states, words = from_states[windows], from_words[windows]
        position = np.searchsorted(rows, corpus.row[windows])
        # Both count the same when a text's window is chosen: their own scales differ.
        rough = states / (states.std() + 1e-9) + words / (words.std() + 1e-9)
        strongest = strongest_windows(rough.max(1), position)
        own, weights = classes[rows], row_weights([corpus.rows[i] for i in rows], classes[rows], 1.0)
        behaviors = states.shape[1]
        densities = None
        inputs = [states[strongest, b][:, None] for b in range(behaviors)]
        if settings.words:
            densities = [
                density_pairs(words[strongest, b][:, None], own, weights, b + 1) for b in range(behaviors)
            ]
            inputs = [
                np.column_stack([inputs[b], (attack - benign)(words[strongest, b][:, None])])
                for b, (benign, attack) in enumerate(densities)
            ]
        fitted = logistic_weights(inputs, own, weights, prior=0.5, ridge=_RIDGE, nonnegative=True)
        return cls(densities, [weight for weight, _ in fitted], [bias for _, bias in fitted])

    def log_odds(self, from_states: FloatArray, from_words: FloatArray) -> FloatArray:
        """Of windows, (m, behaviors)."""
        columns = []
        for b, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            total = from_states[:, b] * weight[0] + bias
            if self.words is not None:
                benign, attack = self.words[b]
                total = total + weight[1] * (attack - benign)(from_words[:, b][:, None])[:, 0]
            columns.append(total)
        return np.stack(columns, axis=1)

    def behavior(
        self,
        b: int,
        name: str,
        default_action: str,
        fitted: Fitted,
        lexicon: Lexicon | None,
        tables: dict[str, RateTable],
        readouts: Mapping[str, Readout],
    ) -> CodebookBehavior:
        states, weight = fitted.states[b], self.weights[b]
        benign, attack, weights = states.benign, states.attack, states.weights * weight[0]
        word_weights = None
        if self.words is not None and fitted.words is not None:
            word_benign, word_attack = self.words[b]
            benign, attack = _appended(benign, word_benign), _appended(attack, word_attack)
            weights = np.append(weights, weight[1])
            word_weights = fitted.words.weights[b]
        return CodebookBehavior(
            name=name,
            default_action=default_action,
            coordinates=states.coordinates,
            benign=benign,
            attack=attack,
            weights=weights.astype(np.float32),
            bias=float(states.bias * weight[0] + self.biases[b]),
            tables=tables,
            lexicon=lexicon if word_weights is not None else None,
            word_weights=word_weights,
            readouts=readouts,
        )


def _appended(splines: Splines, one: Splines) -> Splines:
    return Splines.through(
        np.concatenate([splines.knots, one.knots]), np.concatenate([splines.values, one.values])
    )


def _folds(corpus: Corpus, settings: CompileSettings) -> dict[str, int]:
    groups = related_sources(corpus) if settings.related else every_source(corpus)
    if len(set(groups.values())) < 2 * settings.folds:
        raise DataError(
            f"{len(set(groups.values()))} unrelated sources: leaving some out in {settings.folds} parts needs "
            f"{2 * settings.folds} or more. Give each row its `source`, add data, or lower --folds"
        )
    return assign_folds(corpus, groups, settings.folds, settings.seed)


def _tables(
    corpus: Corpus,
    rows: IntArray,
    windows: IntArray,
    log_odds: FloatArray,
    benign: tuple[str, ...],
    settings: CompileSettings,
) -> list[dict[str, RateTable]]:
    """For each column of `log_odds` (windows, columns) a table a channel, from the windows of benign rows."""
    tables: list[dict[str, RateTable]] = [{} for _ in range(log_odds.shape[1])]
    position = np.searchsorted(rows, corpus.row[windows])
    own = [corpus.rows[i] for i in rows]
    for channel in CHANNELS:
        stands = _STANDS_FOR.get(channel, (channel,))
        usable, weights = _benign_weights(own, benign, stands)
        if _effective(weights) < _FEWEST_BENIGN:  # too little of this channel: all benign text stands for it
            usable, weights = _benign_weights(own, benign, CHANNELS)
        hit = usable[position]
        share = (weights / np.maximum(np.bincount(position, minlength=len(own)), 1))[position[hit]]
        for column in range(log_odds.shape[1]):
            table = RateTable.fit(log_odds[hit, column], share)
            # Windows of one text are not independent: what can be known is bounded by the number of texts.
            tables[column][channel] = replace(table, count=_effective(weights))
    return tables


def _benign_weights(
    rows: Sequence[Row], labels: Sequence[str], channels: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Which rows are benign ones of some channels, (n,), and their weights, 0 for the others, (n,)."""
    usable = np.array([row.label in labels and row.channel in channels for row in rows])
    picked = np.flatnonzero(usable)
    weights = np.zeros(len(rows))
    chosen = [rows[i] for i in picked.tolist()]
    weights[picked] = row_weights(chosen, np.zeros(len(picked), np.int64), 1.0)
    return usable, weights


def _effective(weights: FloatArray) -> float:
    """How many texts of equal weight tell as much (Kish, Survey Sampling, 1965)."""
    return float(weights.sum() ** 2 / np.sum(weights**2)) if weights.any() else 0.0


def _counts(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
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
