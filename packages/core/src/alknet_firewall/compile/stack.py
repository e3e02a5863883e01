"""How a stretch's parts of evidence add up, learnt on sources that none of them was fitted to.

The parts are the log-odds of each tap and the lexical score. In a cascade they add up once for each depth: windows
that stop at the first tap have no evidence of the others. A window goes on when its log-odds are those that a given
share of benign windows reaches, so the mean cost on benign text is known. The strongest stretch of a window speaks
for it, for each behavior by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.model import CodebookBehavior, Lexicon
from alknet_firewall.codebook.readout import Readout
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.compile.combine import logistic_weights
from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.fit import Fitted, density_pairs, joined, strongest
from alknet_firewall.compile.folds import row_weights
from alknet_firewall.compile.rows import BENIGN_LABELS, Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.verdict import CHANNELS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RIDGE = 1e-3
_FEWEST = 100  # benign texts of a channel under which all channels together set its band


@dataclass(frozen=True)
class Stack:
    """Weights of the parts of evidence.

    Attributes:
        taps: The taps that give evidence, ascending.
        words: For each behavior the densities of benign and of attacking text along the lexical score; empty without
            words.
        weights: For each depth and behavior, the weights of the taps up to it and of the words, and a bias.
        bands: By channel, the log-odds from which a window goes on to the next tap; None without a cascade.
    """

    taps: tuple[int, ...]
    words: list[tuple[Splines, Splines]]
    weights: list[list[tuple[FloatArray, float]]]
    bands: dict[str, float] | None

    @classmethod
    def fit(
        cls, corpus: Corpus, rows: IntArray, classes: IntArray, evidence: FloatArray, settings: CompileSettings
    ) -> Stack:
        """Fits to `rows` of the corpus, from evidence of all stretches (s, behaviors, parts) and the rows' classes."""
        stretches = corpus.stretches_of(rows)
        parts = evidence[stretches]
        position = np.searchsorted(rows, corpus.row_of_stretch[stretches])
        # All parts count the same when a text's stretch is chosen: their scales differ.
        rough = (parts / (parts.std(axis=(0, 1)) + 1e-9)).sum(2)
        chosen = strongest(rough.max(1), position)
        own = classes[rows]
        weights = row_weights([corpus.rows[i] for i in rows], own, 1.0)
        taps, behaviors = settings.taps, range(parts.shape[1])
        words = [
            density_pairs(parts[chosen, b, len(taps)][:, None], own, weights, b + 1)
            for b in behaviors
            if settings.words
        ]
        stack = cls(taps, words, [], None)
        ratios = stack._ratios(parts[chosen])
        for depth in range(1, len(taps) + 1) if settings.cascade is not None else [len(taps)]:
            inputs = [_up_to(ratios[:, b], depth, len(taps)) for b in behaviors]
            fitted = logistic_weights(inputs, own, weights, prior=0.5, ridge=_RIDGE, nonnegative=True)
            stack = replace(stack, weights=[*stack.weights, fitted])
        if settings.cascade is None or len(taps) == 1:
            return stack
        windows = corpus.windows_of(rows)
        first = stack._of_windows(stack._ratios(parts), corpus.window[stretches], 0)
        position = np.searchsorted(rows, corpus.row[windows])
        combined = np.logaddexp.reduce(first, axis=1)
        return replace(stack, bands=_bands([corpus.rows[i] for i in rows], position, combined, settings.cascade))

    def cascaded(self, evidence: FloatArray, window: IntArray, channels: npt.NDArray[np.str_]) -> FloatArray:
        """Log-odds of windows (m, behaviors), each at the depth that it reaches.

        Args:
            evidence: Of stretches, (s, behaviors, parts).
            window: The window of each, (s,), ascending.
            channels: Of each window, (m,).
        """
        ratios = self._ratios(evidence)
        log_odds = self._of_windows(ratios, window, 0)
        if self.bands is None:
            return log_odds
        bands = np.array([self.bands[channel] for channel in channels.tolist()])
        going = np.ones(len(log_odds), np.bool_)
        for depth in range(1, len(self.weights)):
            going &= np.logaddexp.reduce(log_odds, axis=1) >= bands
            log_odds[going] = self._of_windows(ratios, window, depth)[going]
        return log_odds

    def behavior(
        self,
        b: int,
        name: str,
        default_action: str,
        fitted: Fitted,
        lexicon: Lexicon | None,
        tables: dict[str, RateTable],
        readouts: Mapping[str, Readout],
        stretch: int,
    ) -> CodebookBehavior:
        """The behavior with 0-based index `b` as the codebook keeps it."""
        states = [fitted.states[tap][b] for tap in self.taps]
        densities = [(own.benign, own.attack) for own in states] + self.words[b : b + 1]
        rows, biases = [], []
        for weights, bias in (depth[b] for depth in self.weights):
            reached = len(weights) - bool(self.words)
            row = [own.weights * weights[i] if i < reached else own.weights * 0 for i, own in enumerate(states)]
            rows.append(np.concatenate([*row, weights[reached:]]))
            biases.append(bias + sum(own.bias * weight for own, weight in zip(states, weights[:reached])))
        return CodebookBehavior(
            name=name,
            default_action=default_action,
            coordinates=joined([own.coordinates for own in states]),
            benign=_joined([benign for benign, _ in densities]),
            attack=_joined([attack for _, attack in densities]),
            weights=np.array(rows, np.float32),
            biases=np.array(biases, np.float64),
            tables=tables,
            lexicon=lexicon,
            word_weights=None if fitted.words is None else fitted.words.weights[b],
            readouts=readouts,
            stretch=stretch,
        )

    def _ratios(self, evidence: FloatArray) -> FloatArray:
        """Evidence with the lexical score turned into the log-ratio of its densities, (m, behaviors, parts)."""
        ratios = evidence.copy()
        for b, (benign, attack) in enumerate(self.words):
            ratios[:, b, -1] = (attack - benign)(evidence[:, b, -1][:, None])[:, 0]
        return ratios

    def _of_windows(self, ratios: FloatArray, window: IntArray, depth: int) -> FloatArray:
        """Log-odds of windows, (m, behaviors): those of the strongest stretch of each, behavior by behavior."""
        first = np.flatnonzero(np.diff(window, prepend=-1))
        highest: FloatArray = np.maximum.reduceat(self._log_odds(ratios, depth), first, axis=0)
        return highest

    def _log_odds(self, ratios: FloatArray, depth: int) -> FloatArray:
        columns = []
        for b, (weights, bias) in enumerate(self.weights[depth]):
            reached = len(weights) - bool(self.words)
            columns.append(_up_to(ratios[:, b], reached, len(self.taps)) @ weights + bias)
        return np.stack(columns, axis=1)


def channels_of(corpus: Corpus, windows: IntArray) -> npt.NDArray[np.str_]:
    """The channel of each window, (m,)."""
    return np.array([corpus.rows[row].channel for row in corpus.row[windows].tolist()])


def benign_weights(
    rows: Sequence[Row], labels: Sequence[str], channels: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    """Which rows are benign ones of some channels, (n,), and their weights, 0 for the others, (n,)."""
    usable = np.array([row.label in labels and row.channel in channels for row in rows])
    picked = np.flatnonzero(usable)
    weights = np.zeros(len(rows))
    chosen = [rows[i] for i in picked.tolist()]
    weights[picked] = row_weights(chosen, np.zeros(len(picked), np.int64), 1.0)
    return usable, weights


def _bands(rows: Sequence[Row], position: IntArray, log_odds: FloatArray, share: float) -> dict[str, float]:
    """By channel, the log-odds that `share` of benign windows reach; a text's windows weigh as one text."""
    bands = {}
    for channel in CHANNELS:
        usable, weights = benign_weights(rows, BENIGN_LABELS, (channel,))
        if usable.sum() < _FEWEST:
            usable, weights = benign_weights(rows, BENIGN_LABELS, CHANNELS)
        hit = usable[position]
        own = (weights / np.maximum(np.bincount(position, minlength=len(rows)), 1))[position[hit]]
        order = np.argsort(-log_odds[hit])
        above = np.cumsum(own[order]) / own.sum()
        bands[channel] = float(log_odds[hit][order][min(int(np.searchsorted(above, share)), len(order) - 1)])
    return bands


def _up_to(ratios: FloatArray, depth: int, taps: int) -> FloatArray:
    """The parts at hand when `depth` of the taps were read, (m, depth or depth + 1 with words)."""
    return np.concatenate([ratios[:, :depth], ratios[:, taps:]], axis=1)


def _joined(splines: Sequence[Splines]) -> Splines:
    return Splines.through(
        np.concatenate([each.knots for each in splines]), np.concatenate([each.values for each in splines])
    )
