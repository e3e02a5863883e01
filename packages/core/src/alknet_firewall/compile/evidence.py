"""Evidence on text whose source took no part: what the last steps of a compile learn from, and are judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.features import Features
from alknet_firewall.compile.fit import fit_group, strongest
from alknet_firewall.compile.folds import COMPOSED, row_folds, training_rows
from alknet_firewall.compile.rows import Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.stack import Stack, channels_of
from alknet_firewall.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FEWEST = 30
"""Rows of a label that a behavior needs."""


@dataclass(frozen=True)
class HeldOut:
    """What the cross-validation saw: the evidence on rows whose source was left out.

    Attributes:
        rows: Rows, none of them composed.
        fold: The fold of each, (n,).
        log_odds: Of each behavior of the attack group in the strongest window, (n, behaviors).
        log_rates: Logarithm of the false-alarm rate of each, (n,), by tables that its fold took no part in; None before
            any were made.
    """

    rows: list[Row]
    fold: IntArray
    log_odds: FloatArray
    log_rates: FloatArray | None = None


@dataclass(frozen=True)
class OutOfFold:
    """Evidence on every row that was not composed, from fits that its source was left out of.

    Attributes:
        corpus: All rows, windows and stretches.
        rows: The rows that there is evidence on, (n,).
        fold: The fold of each row of the corpus; -1 for composed ones.
        classes: 0 for benign, b + 1 for behavior b, of each row of the corpus.
        evidence: Of all stretches of the corpus, (s, behaviors, parts); zeros for those of other rows.
    """

    corpus: Corpus
    rows: IntArray
    fold: IntArray
    classes: IntArray
    evidence: FloatArray

    @cached_property
    def windows(self) -> IntArray:
        """The windows of `rows`, ascending."""
        return self.corpus.windows_of(self.rows)

    @cached_property
    def position(self) -> IntArray:
        """For each of `windows`, the place of its row in `rows`."""
        return np.searchsorted(self.rows, self.corpus.row[self.windows])

    def log_odds(self, settings: CompileSettings) -> FloatArray:
        """Of `windows` (m, behaviors), by combinations that were not fitted to the sources that they are judged on.

        The evidence that a combination learns from comes from fits that saw them, as usual in stacking.
        """
        log_odds = np.zeros((len(self.windows), self.evidence.shape[1]))
        own_fold = self.fold[self.rows]
        for fold in range(settings.folds):
            others = Stack.fit(self.corpus, self.rows[own_fold != fold], self.classes, self.evidence, settings)
            here = own_fold[self.position] == fold
            stretches = self.corpus.stretches_of(self.rows[own_fold == fold])
            channels = channels_of(self.corpus, self.windows[here])
            log_odds[here] = others.cascaded(self.evidence[stretches], self.corpus.window[stretches], channels)
        return log_odds

    def held_out(self, log_odds: FloatArray) -> HeldOut:
        """What `log_odds` says of each row: its strongest window."""
        chosen = strongest(np.logaddexp.reduce(log_odds, axis=1), self.position)
        return HeldOut([self.corpus.rows[i] for i in self.rows], self.fold[self.rows], log_odds[chosen])


def out_of_fold(
    corpus: Corpus,
    fold_of: Mapping[str, int],
    features: Features,
    behaviors: Sequence[str],
    benign: tuple[str, ...],
    settings: CompileSettings,
    progress: Callable[[str, float], None],
) -> OutOfFold:
    """Fits a group of behaviors once for each fold of sources, without it, and takes its evidence on that fold.

    Raises:
        DataError: A behavior, or what is benign beside it, is of one fold of sources only.
    """
    name = " and ".join(behaviors)
    used = np.flatnonzero(corpus.label(*behaviors, *benign))
    classes = np.array([behaviors.index(r.label) + 1 if r.label in behaviors else 0 for r in corpus.rows])
    row_fold = row_folds(corpus.rows, fold_of, classes, settings.folds, FEWEST)
    real: IntArray = np.array([i for i in used.tolist() if not corpus.rows[i].source.startswith(COMPOSED)])
    evidence = np.zeros((len(corpus.window), len(behaviors), len(settings.taps) + settings.words))
    training = [
        np.intersect1d(training_rows(corpus.rows, row_fold, fold_of, fold), used) for fold in range(settings.folds)
    ]
    for b, behavior in enumerate(behaviors):
        if any((classes[rows] == b + 1).sum() < 2 or (classes[rows] == 0).sum() < 2 for rows in training):
            raise DataError(f"{behavior}: its rows and benign ones must come from sources of more than one fold")
    for fold, rows in enumerate(training):
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
        stretches = corpus.stretches_of(real[row_fold[real] == fold])
        evidence[stretches] = fitted.evidence()[stretches]
    return OutOfFold(corpus, real, row_fold, classes, evidence)
