"""Fits the behaviors of one group to some of the rows: directions, densities, their combination, words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from alknet_firewall.codebook.model import Coordinates
from alknet_firewall.codebook.readout import ATTENTION, FEATURE, PEAK
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.compile.basis import contrastive_directions, linear_direction, svd_directions, whitening
from alknet_firewall.compile.combine import logistic_weights
from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.densities import knots_for, log_density
from alknet_firewall.compile.features import Features, Projection, TapFeatures
from alknet_firewall.compile.folds import row_weights
from alknet_firewall.compile.probe import Heads, coordinates_of, train_heads
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.sparse import separating_features
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
        """Log-odds of stretches from their coordinates (s, k)."""
        result: FloatArray = (self.attack - self.benign)(values) @ self.weights + self.bias
        return result


@dataclass(frozen=True)
class Fitted:
    """A group of behaviors fitted to some rows.

    Attributes:
        states: By tap, one for each behavior.
        values: By tap and for each behavior, the coordinates of all stretches of the corpus, (s, k).
        words: The lexical readout; None without words.
        window: The window of each stretch, (s,).
    """

    states: dict[int, list[FittedStates]]
    values: dict[int, list[npt.NDArray[np.float32]]]
    words: WordModel | None
    window: IntArray

    def evidence(self) -> FloatArray:
        """Of all stretches, (s, behaviors, parts): log-odds from the states of each tap, the window's lexical score."""
        parts = [
            np.stack([fit.log_odds(values) for fit, values in zip(self.states[tap], self.values[tap])], 1)
            for tap in self.states
        ]
        if self.words is not None:
            parts.append(self.words.scores[self.window].astype(np.float64))
        return np.stack(parts, axis=2)


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
        corpus: All rows, windows and stretches.
        features: Of all of them.
        rows: The rows to fit to.
        known: All rows that are not left out, whatever their label.
        classes: 0 for benign, b + 1 for behavior b, for each of `rows`.
        settings: Choices.
        behaviors: How many there are.
        progress: Called with the share that is done.
    """
    weights = row_weights([corpus.rows[i] for i in rows], classes, settings.composed_weight)
    # Of an attack only what may hold the payload teaches anything; the rest is somebody's benign text.
    usable = corpus.payload | np.isin(corpus.row_of_stretch, rows[classes == 0])
    stretches = _split(corpus.row_of_stretch, rows, usable)
    states: dict[int, list[FittedStates]] = {}
    values: dict[int, list[npt.NDArray[np.float32]]] = {}
    flat = np.concatenate(stretches)
    owner = np.repeat(np.arange(len(rows)), [len(own) for own in stretches])
    for number, tap in enumerate(settings.taps):
        found = _directions(
            corpus, features, tap, rows, stretches, classes, weights, settings, behaviors,
            lambda share, n=number: progress((n + share) / len(settings.taps)),  # type: ignore[misc]
        )  # fmt: skip
        chosen = _strongest(np.stack([first for _, _, first in found], 1)[flat].max(1), owner, flat)
        pairs = [density_pairs(own[chosen], classes, weights, b + 1) for b, (_, own, _) in enumerate(found)]
        ratios = [
            (attack - benign)(own[chosen]) for (_, own, _), (benign, attack) in zip(found, pairs)
        ]
        combined = logistic_weights(ratios, classes, weights, prior=0.3, ridge=_RIDGE, nonnegative=True)
        states[tap] = [
            FittedStates(coordinates, benign, attack, weight, bias)
            for (coordinates, _, _), (benign, attack), (weight, bias) in zip(found, pairs, combined)
        ]
        values[tap] = [own for _, own, _ in found]
    words = None
    if features.words is not None:
        windows = _split(corpus.row, rows, np.isin(np.arange(len(corpus.row)), corpus.window[usable]))
        counts = [len(own) for own in windows]
        per_window, targets = np.repeat(weights / counts, counts), np.repeat(classes, counts)
        seen = corpus.windows_of(known)
        words = fit_words(features.words, seen, np.concatenate(windows), targets, per_window, behaviors)
    return Fitted(states, values, words, corpus.window)


def strongest(score: FloatArray, row: IntArray) -> IntArray:
    """For each row in `row` (ascending), the position of its highest score."""
    return _strongest(score, row, np.arange(len(score)))


def _split(row: IntArray, rows: IntArray, usable: npt.NDArray[np.bool_]) -> list[IntArray]:
    """For each of `rows` the usable places where `row` (ascending) names it."""
    places = np.flatnonzero(usable)
    first = np.searchsorted(row[places], rows, "left")
    last = np.searchsorted(row[places], rows, "right")
    return [places[a:b] for a, b in zip(first, last)]


def _strongest(score: FloatArray, owner: IntArray, places: IntArray) -> IntArray:
    order = np.lexsort((-score, owner))
    starts = np.concatenate([[True], np.diff(owner[order]) > 0])
    found: IntArray = places[order[starts]]
    return found


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
"""A behavior's coordinates, their values on all stretches (s, k), and a first score of all stretches (s,)."""


def _directions(
    corpus: Corpus,
    features: Features,
    tap: int,
    rows: IntArray,
    stretches: list[IntArray],
    classes: IntArray,
    weights: FloatArray,
    settings: CompileSettings,
    behaviors: int,
    progress: Callable[[float], None],
) -> list[_Found]:
    if settings.basis == "learned":
        return _learned(features.taps[tap], tap, stretches, classes, weights, settings, behaviors, progress)
    first = np.array([own[0] for own in stretches])
    if settings.basis == "sae":
        of_tap = features.saes[tap], features.vectors[tap, FEATURE], tap
        return [
            separating_features(*of_tap, first, classes == b + 1, weights, settings.directions)
            for b in range(behaviors)
        ]
    found = []
    for b in range(behaviors):
        parts = []
        for readout in settings.readouts:
            vectors = features.vectors[tap, readout]
            mean, deviation = whitening(vectors[first])
            whitened = (vectors[first] - mean) / deviation
            used = [corpus.rows[i] for i in rows]
            if settings.basis == "svd":
                basis = svd_directions(whitened, weights, settings.directions)
            elif settings.basis == "linear":
                basis = linear_direction(whitened, classes == b + 1, [r.source for r in used], weights)
            else:
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
        coordinates = joined([coordinates for coordinates, _ in parts])
        values = np.concatenate([values for _, values in parts], axis=1)
        scale = values[first].std(0) + 1e-9
        separation = (values[first][classes == b + 1].mean(0) - values[first][classes == 0].mean(0)) / scale
        found.append((coordinates, values, (values / scale) @ separation))
    progress(1.0)
    return found


def _learned(
    features: TapFeatures,
    tap: int,
    stretches: list[IntArray],
    classes: IntArray,
    weights: FloatArray,
    settings: CompileSettings,
    behaviors: int,
    progress: Callable[[float], None],
) -> list[_Found]:
    everything = np.arange(len(features.tokens.start) - 1)
    parts: list[list[tuple[Coordinates, npt.NDArray[np.float32]]]] = [[] for _ in range(behaviors)]
    for member in range(settings.members):
        model = train_heads(
            features.tokens,
            stretches,
            classes,
            weights,
            behaviors=behaviors,
            heads=settings.directions,
            peaks=settings.peaks,
            epochs=settings.epochs,
            seed=settings.seed + member,
            progress=lambda share, done=member: progress((done + share) / settings.members),  # type: ignore[misc]
        )
        values = coordinates_of(model, features.tokens, everything)
        for b in range(behaviors):
            coordinates = _coordinates_of_behavior(model, features, tap, b, settings)
            # Where the template's end is not read, its value (the last) is not kept.
            parts[b].append((coordinates, values[:, b, : len(coordinates)]))
    found = []
    for members in parts:
        own = np.concatenate([values for _, values in members], axis=1)
        found.append((joined([coordinates for coordinates, _ in members]), own, own.sum(1).astype(np.float64)))
    return found


def _coordinates_of_behavior(
    model: Heads, features: TapFeatures, tap: int, behavior: int, settings: CompileSettings
) -> Coordinates:
    def part(
        name: str, all_rows: torch.Tensor, of: Projection, queries: npt.NDArray[np.float32] | None = None
    ) -> Coordinates:
        rows = all_rows.detach().view(model.behaviors, -1, all_rows.shape[1])[behavior].numpy()
        directions, offsets = of.back(rows)
        chosen = np.zeros_like(directions) if queries is None else queries
        return Coordinates(np.full(len(rows), tap, np.int32), (name,) * len(rows), chosen, directions, offsets)

    of_tokens = features.token_projection
    queries = model.query.detach().view(model.behaviors, -1, model.query.shape[1])[behavior].numpy()
    parts = [
        part(ATTENTION, model.value, of_tokens, of_tokens.back(queries)[0]),
        part(PEAK, model.peak, of_tokens),
    ]
    if "template_end" in settings.readouts:
        parts.append(part("template_end", model.end, features.end_projection))
    return joined(parts)


def joined(parts: Sequence[Coordinates]) -> Coordinates:
    """Several lists of coordinates as one."""
    sparse = any(c.thresholds is not None for c in parts)
    thresholds = [np.zeros(len(c), np.float32) if c.thresholds is None else c.thresholds for c in parts]
    return Coordinates(
        np.concatenate([c.taps for c in parts]),
        tuple(readout for c in parts for readout in c.readouts),
        np.concatenate([c.queries for c in parts]),
        np.concatenate([c.directions for c in parts]),
        np.concatenate([c.offsets for c in parts]),
        np.concatenate(thresholds) if sparse else None,
    )
