"""Fits the behaviors of one group to some of the rows: directions, densities, their combination, words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.model import Coordinates
from alknet_firewall.codebook.readout import ATTENTION
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.compile.basis import contrastive_directions, svd_directions, whitening
from alknet_firewall.compile.combine import logistic_weights
from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.densities import knots_for, log_density
from alknet_firewall.compile.features import Features, Projection
from alknet_firewall.compile.folds import row_weights
from alknet_firewall.compile.probe import Heads, coordinates_of, train_heads
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.words import WordModel, fit_words

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RIDGE = 1e-3


@dataclass(frozen=True)
class FittedStates:
    """What one behavior reads from the states, and what that says."""

    coordinates: Coordinates
    benign: Splines
    attack: Splines
    weights: FloatArray
    bias: float

    def log_odds(self, values: npt.NDArray[np.float32]) -> FloatArray:
        """Log-odds of windows from their coordinates (m, k)."""
        result: FloatArray = (self.attack - self.benign)(values) @ self.weights + self.bias
        return result


@dataclass(frozen=True)
class Fitted:
    """A group of behaviors fitted to some rows.

    Attributes:
        states: One for each behavior.
        values: For each behavior the coordinates of all windows of the corpus, (m, k).
        words: The lexical readout; None without words.
    """

    states: list[FittedStates]
    values: list[npt.NDArray[np.float32]]
    words: WordModel | None

    def evidence(self) -> tuple[FloatArray, FloatArray]:
        """Of all windows: log-odds from the states and word scores, each (m, behaviors)."""
        from_states = np.stack([fit.log_odds(values) for fit, values in zip(self.states, self.values)], 1)
        if self.words is None:
            return from_states, np.zeros_like(from_states)
        return from_states, self.words.scores.astype(np.float64)


def fit_group(
    corpus: Corpus,
    features: Features,
    rows: IntArray,
    known: IntArray,
    classes: IntArray,
    settings: CompileSettings,
    behaviors: int,
    progress: Callable[[float], None],
) -> Fitted:
    """Fits a group.

    Args:
        corpus: All rows and windows.
        features: Of all windows.
        rows: The rows to fit to.
        known: All rows that are not left out, whatever their label.
        classes: 0 for benign, b + 1 for behavior b, for each of `rows`.
        settings: Choices.
        behaviors: How many there are.
        progress: Called with the share that is done.
    """
    weights = row_weights([corpus.rows[i] for i in rows], classes, settings.composed_weight)
    # Of an attack only windows that may hold the payload teach anything; the others are somebody's benign text.
    usable = corpus.payload | np.isin(corpus.row, rows[classes == 0])
    windows = _split(corpus, rows, usable)
    found = _directions(corpus, features, rows, windows, classes, weights, settings, behaviors, progress)
    flat = np.concatenate(windows)
    owner = np.repeat(np.arange(len(rows)), [len(own) for own in windows])
    states, values = [], [values for _, values, _ in found]
    chosen = _strongest(np.stack([first for _, _, first in found], 1)[flat].max(1), owner, flat)
    ratios = []
    for b, (_, all_values, _) in enumerate(found):
        splines = density_pairs(all_values[chosen], classes, weights, b + 1)
        ratios.append(((splines[1] - splines[0])(all_values[chosen]), splines))
    combined = logistic_weights(
        [ratio for ratio, _ in ratios], classes, weights, prior=0.3, ridge=_RIDGE, nonnegative=True
    )
    for (coordinates, _, _), (_, (benign, attack)), (weight, bias) in zip(found, ratios, combined):
        states.append(FittedStates(coordinates, benign, attack, weight, bias))
    words = None
    if features.words is not None:
        per_window = (weights / np.array([len(own) for own in windows]))[owner]
        seen = corpus.windows_of(known)
        words = fit_words(features.words, seen, flat, classes[owner], per_window, behaviors)
    return Fitted(states, values, words)


def strongest_windows(score: FloatArray, row: IntArray) -> IntArray:
    """For each row in `row` (ascending), the position of its highest score."""
    return _strongest(score, row, np.arange(len(score)))


def _split(corpus: Corpus, rows: IntArray, usable: npt.NDArray[np.bool_]) -> list[IntArray]:
    all_windows = np.flatnonzero(usable)
    first = np.searchsorted(corpus.row[all_windows], rows, "left")
    last = np.searchsorted(corpus.row[all_windows], rows, "right")
    return [all_windows[a:b] for a, b in zip(first, last)]


def _strongest(score: FloatArray, owner: IntArray, windows: IntArray) -> IntArray:
    order = np.lexsort((-score, owner))
    starts = np.concatenate([[True], np.diff(owner[order]) > 0])
    strongest: IntArray = windows[order[starts]]
    return strongest


def density_pairs(
    values: npt.NDArray[np.floating], classes: IntArray, weights: FloatArray, behavior: int
) -> tuple[Splines, Splines]:
    """Densities of benign text and of one behavior (1-based class) along each coordinate, from values (n, k)."""
    benign, attack = classes == 0, classes == behavior
    knots, at_benign, at_attack = [], [], []
    for column in values.T.astype(np.float64):
        both = np.concatenate([column[benign], column[attack]])
        halves = np.concatenate(
            [weights[benign] / weights[benign].sum(), weights[attack] / weights[attack].sum()]
        )
        here = knots_for(both, halves).astype(np.float64)
        knots.append(here)
        at_benign.append(log_density(column[benign], weights[benign], here))
        at_attack.append(log_density(column[attack], weights[attack], here))
    stacked = np.array(knots)
    return Splines.through(stacked, np.array(at_benign)), Splines.through(stacked, np.array(at_attack))


_Found = tuple[Coordinates, npt.NDArray[np.float32], FloatArray]
"""A behavior's coordinates, their values on all windows (m, k), and a first score of all windows (m,)."""


def _directions(
    corpus: Corpus,
    features: Features,
    rows: IntArray,
    windows: list[IntArray],
    classes: IntArray,
    weights: FloatArray,
    settings: CompileSettings,
    behaviors: int,
    progress: Callable[[float], None],
) -> list[_Found]:
    if settings.basis == "learned":
        return _learned(features, windows, classes, weights, settings, behaviors, progress)
    first = np.array([own[0] for own in windows])
    found = []
    for b in range(behaviors):
        parts = []
        for (tap, readout), vectors in sorted(features.vectors.items()):
            mean, deviation = whitening(vectors[first])
            whitened = (vectors[first] - mean) / deviation
            if settings.basis == "svd":
                basis = svd_directions(whitened, weights, settings.directions)
            else:
                used = [corpus.rows[i] for i in rows]
                basis = contrastive_directions(
                    whitened,
                    classes == b + 1,
                    [r.source for r in used],
                    [r.channel for r in used],
                    settings.directions,
                )
            directions = (basis / deviation).astype(np.float32)
            offsets = (-directions @ mean).astype(np.float32)
            k = len(basis)
            coordinates = Coordinates(
                np.full(k, tap, np.int32), (readout,) * k, np.zeros_like(directions), directions, offsets
            )
            parts.append((coordinates, vectors @ directions.T + offsets))
        coordinates, values = _joined(parts)
        scale = values[first].std(0) + 1e-9
        separation = (values[first][classes == b + 1].mean(0) - values[first][classes == 0].mean(0)) / scale
        found.append((coordinates, values, (values / scale) @ separation))
    progress(1.0)
    return found


def _learned(
    features: Features,
    windows: list[IntArray],
    classes: IntArray,
    weights: FloatArray,
    settings: CompileSettings,
    behaviors: int,
    progress: Callable[[float], None],
) -> list[_Found]:
    parts: list[list[tuple[Coordinates, npt.NDArray[np.float32]]]] = [[] for _ in range(behaviors)]
    with_end = "template_end" in settings.readouts
    for number, (tap, own) in enumerate(sorted(features.taps.items())):
        done = number / len(features.taps)
        model = train_heads(
            own.tokens,
            windows,
            classes,
            weights,
            behaviors=behaviors,
            heads=settings.directions,
            epochs=settings.epochs,
            seed=settings.seed,
            progress=lambda share, done=done: progress(done + share / len(features.taps)),  # type: ignore[misc]
        )
        values = coordinates_of(model, own.tokens, np.arange(len(own.tokens.start) - 1))
        for b in range(behaviors):
            parts[b].append(
                _heads_of(model, own.token_projection, own.end_projection, values, tap, b, with_end)
            )
    found = []
    for own_parts in parts:
        coordinates, values = _joined(own_parts)
        found.append((coordinates, values, values.sum(1).astype(np.float64)))
    return found


def _heads_of(
    model: Heads,
    of_tokens: Projection,
    of_end: Projection,
    values: npt.NDArray[np.float32],
    tap: int,
    behavior: int,
    with_end: bool,
) -> tuple[Coordinates, npt.NDArray[np.float32]]:
    heads = len(model.query) // model.behaviors
    mine = slice(behavior * heads, (behavior + 1) * heads)
    queries, _ = of_tokens.back(model.query.detach().numpy()[mine])
    directions, offsets = of_tokens.back(model.value.detach().numpy()[mine])
    own = values[:, mine]
    readouts = (ATTENTION,) * heads
    if with_end:
        end, end_offset = of_end.back(model.end.detach().numpy()[behavior : behavior + 1])
        queries = np.concatenate([queries, np.zeros_like(end)])
        directions, offsets = np.concatenate([directions, end]), np.concatenate([offsets, end_offset])
        own = np.concatenate([own, values[:, len(model.query) + behavior][:, None]], axis=1)
        readouts = (*readouts, "template_end")
    taps = np.full(len(directions), tap, np.int32)
    return Coordinates(taps, readouts, queries, directions, offsets), own


def _joined(
    parts: list[tuple[Coordinates, npt.NDArray[np.float32]]],
) -> tuple[Coordinates, npt.NDArray[np.float32]]:
    coordinates = [part for part, _ in parts]
    return Coordinates(
        np.concatenate([c.taps for c in coordinates]),
        tuple(readout for c in coordinates for readout in c.readouts),
        np.concatenate([c.queries for c in coordinates]),
        np.concatenate([c.directions for c in coordinates]),
        np.concatenate([c.offsets for c in coordinates]),
    ), np.concatenate([values for _, values in parts], axis=1)
