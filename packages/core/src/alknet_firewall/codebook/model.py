"""One behavior of a codebook: its directions, its densities along them, how they combine, and how often they err."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alknet_firewall.behavior import Evidence, Passage
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.lexical import LEXICAL, FloatArray, lexical_scores, ngram_buckets
from alknet_firewall.codebook.products import product
from alknet_firewall.codebook.readout import (
    ATTENTION,
    FEATURE,
    PEAK,
    Readout,
    attention_shares,
    feature_parts,
    is_feature,
    peak_shares,
    stretches,
)
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.errors import CodebookError
from alknet_firewall.text.wordless import is_word

ONE_WORD = "one word"
"""Contribution, below 0, to the evidence of a window that is one word: trigger words alone ask for nothing."""

_NO_ORDER = 8.0  # log-odds: more than what a word can bring, less than what would look like an error

@dataclass(frozen=True)
class Coordinates:
    """k coordinates that read the states.

    Attributes:
        taps: The tap that each reads, (k,).
        readouts: Name of the readout of each.
        queries: Of those whose readout is `attention`, zero for others, (k, hidden).
        directions: (k, hidden).
        offsets: (k,).
        thresholds: Of features of sparse autoencoders, 0 for others, (k,); None where there are no features.
    """

    taps: npt.NDArray[np.int32]
    readouts: tuple[str, ...]
    queries: FloatArray
    directions: FloatArray
    offsets: FloatArray
    thresholds: FloatArray | None = None

    def __len__(self) -> int:
        """Number of coordinates."""
        return len(self.readouts)

    @cached_property
    def _groups(self) -> list[tuple[int, str, npt.NDArray[np.intp], FloatArray]]:
        # Coordinates of one tap and readout are computed together: (tap, readout, which, stacked rows).
        groups = []
        kinds = [FEATURE if is_feature(name) else name for name in self.readouts]
        for tap, readout in sorted(set(zip(self.taps.tolist(), kinds))):
            which = np.flatnonzero((self.taps == tap) & (np.array(kinds) == readout))
            rows = self.directions[which]
            if readout == ATTENTION:
                rows = np.concatenate([rows, self.queries[which]])
            groups.append((tap, readout, which, np.ascontiguousarray(rows.T)))
        return groups

    def read(
        self, states: Mapping[int, FloatArray], suffix: int, readouts: Mapping[str, Readout], stretch: int = 0
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Reads one window, stretch by stretch.

        Args:
            states: By tap, normalised, (n_tokens + suffix, hidden); coordinates of a tap that is not there are 0.
            suffix: Rows of the template's end.
            readouts: By name, all but `attention`, `peak` and features.
            stretch: Tokens of a stretch; 0 for the window as a whole.

        Returns:
            The coordinates of s stretches (s, k), and for each stretch what each of its tokens, and of the template's
            end behind them, gave to each coordinate (tokens + suffix, k), offsets apart.
        """
        n_tokens = len(next(iter(states.values()))) - suffix
        borders = stretches(n_tokens, stretch).tolist()
        ends = np.arange(n_tokens, n_tokens + suffix)
        seen = [np.concatenate([np.arange(a, b), ends]) for a, b in zip(borders, borders[1:])]
        parts = [np.zeros((len(rows), len(self)), np.float32) for rows in seen]
        for tap, name, which, rows in self._groups:
            if tap not in states:
                continue
            projected = product(states[tap], rows)  # (tokens, 2k) for attention: projections, then scores
            for own, at in zip(parts, seen):
                own[:, which] = self._parts(name, which, projected[at], states[tap], at, suffix, readouts)
        return np.stack([own.sum(0) + self._added for own in parts]), parts

    def _parts(
        self, name: str, which: npt.NDArray[np.intp], projected: FloatArray, states: FloatArray,
        seen: npt.NDArray[np.intp], suffix: int, readouts: Mapping[str, Readout],
    ) -> FloatArray:  # fmt: skip
        """What each token of a stretch gives to the coordinates of one group."""
        if name == FEATURE and self.thresholds is not None:
            return feature_parts(projected + self.offsets[which], self.thresholds[which], suffix)
        if name == ATTENTION:
            shares = attention_shares(projected[:, len(which) :], suffix)
        elif name == PEAK:
            shares = peak_shares(projected, suffix)
        else:
            shares = readouts[name].shares(states[seen], suffix)[:, None]
        found: FloatArray = shares * projected[:, : len(which)]
        return found

    @cached_property
    def _added(self) -> FloatArray:
        """Offsets of whole windows, (k,): those of features were added to each token."""
        return np.where([is_feature(name) for name in self.readouts], np.float32(0), self.offsets).astype(np.float32)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What evidence of each is called: its tap, or the number of its feature."""
        return tuple(
            f"feature {name.partition(':')[2]} of tap {tap}" if is_feature(name) else f"tap {tap}"
            for tap, name in zip(self.taps.tolist(), self.readouts)
        )

    def missing(self, states: Mapping[int, FloatArray]) -> int:
        """How many of the taps that these coordinates read are not in `states`."""
        return len(set(self.taps.tolist()) - set(states))


@dataclass(frozen=True)
class Lexicon:
    """The n-gram table that all behaviors of a codebook share; each has a row of weights of its own.

    Attributes:
        folded: Folded id of each token id, (vocabulary,).
        rarity: Inverse document frequency of each bucket, (buckets,).
    """

    folded: npt.NDArray[np.uint64]
    rarity: FloatArray


@dataclass(frozen=True)
class CodebookBehavior:
    """A behavior as a codebook knows it; implements `alknet_firewall.behavior.Behavior`.

    The log-odds of a stretch are `bias + sum over j of weight_j * log_ratio_j(coordinate_j)`, where `log_ratio_j` is
    the difference of two smoothed log-densities (attack minus benign). A window has those of its strongest stretch.
    The lexical score, if there is one, is the last coordinate, and the same for all stretches of a window. In a
    cascade there is a row of weights and a bias for each depth: the last for windows that were read at all taps, the
    one before for those that lack the last tap, and so on.

    Attributes:
        name: The behavior.
        default_action: `block`, `review`, `inform` or `off`.
        coordinates: What reads the states.
        benign, attack: Log-densities of benign and of attacking text along each coordinate, (k or k + 1 with words).
        weights: Of the log-ratios, (depths, k or k + 1).
        biases: In nats, (depths,).
        tables: False-alarm rates by channel.
        lexicon: The n-gram table; None for a behavior without words.
        word_weights: Of each bucket, (buckets,).
        readouts: By name, all but `attention` and `peak`.
        stretch: Tokens of the stretches that states are read in; 0 for windows as a whole.
    """

    name: str
    default_action: str
    coordinates: Coordinates
    benign: Splines
    attack: Splines
    weights: FloatArray
    biases: npt.NDArray[np.float64]
    tables: Mapping[str, RateTable]
    lexicon: Lexicon | None
    word_weights: FloatArray | None
    readouts: Mapping[str, Readout]
    stretch: int = 0

    @cached_property
    def log_ratios(self) -> Splines:
        """Log of the density of attacks over that of benign text, along each coordinate."""
        return self.attack - self.benign

    def assess(self, passages: list[Passage], channel: str) -> list[Evidence]:
        return [self._assess(passage) for passage in passages]

    def log_false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return self.tables[channel].log_rate(log_odds, windows)

    def false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return self.tables[channel].rate(log_odds, windows)

    def values(self, passage: Passage) -> tuple[FloatArray, list[FloatArray], FloatArray]:
        """What is read of a window.

        Returns:
            The coordinates of each stretch, words last, (stretches, k or k + 1); for each stretch what its tokens gave
            to each, words apart, (tokens, k); what each token of the window gave to the lexical score, (n_tokens, 1),
            or (n_tokens, 0) without words.
        """
        read, parts = self.coordinates.read(passage.states, passage.suffix, self.readouts, self.stretch)
        word, of_words = self._words(passage)
        of_tokens = [own[: len(own) - passage.suffix] for own in parts]
        return np.concatenate([read, np.tile(word, (len(read), 1))], axis=1), of_tokens, of_words

    def _words(self, passage: Passage) -> tuple[FloatArray, FloatArray]:
        """The lexical score of a window and what each token gave to it, (1,), (n_tokens, 1); (0,) without words."""
        n_tokens = len(passage.ids)
        if self.lexicon is None or self.word_weights is None:
            return np.empty(0, np.float32), np.empty((n_tokens, 0), np.float32)
        grams = ngram_buckets(self.lexicon.folded[passage.ids], len(self.lexicon.rarity))
        scores, shares = lexical_scores(grams, self.lexicon.rarity, self.word_weights[None], n_tokens)
        return scores, shares.T

    def _assess(self, passage: Passage) -> Evidence:
        depth = len(self.weights) - 1 - self.coordinates.missing(passage.states)
        if depth < 0:
            raise CodebookError(f"behavior {self.name!r} needs deeper states than those of taps {[*passage.states]}")
        weights, bias = self.weights[depth], float(self.biases[depth])
        every, parts, of_words = self.values(passage)
        all_ratios = self.log_ratios(every)
        strongest = int(np.argmax(all_ratios @ weights))
        values, ratios, of_states = every[strongest], all_ratios[strongest], parts[strongest]
        # A token's share of the evidence: what it gave to each coordinate, times how steeply that one pulls here.
        step = np.maximum(np.abs(values), 1.0) * 1e-3
        after, before = self.log_ratios(np.stack([values + step, values - step]))
        carried, slopes = weights * ratios, weights * (after - before) / (2 * step)  # (k,)
        token_scores = of_words @ slopes[of_states.shape[1] :]
        start = sum(len(own) for own in parts[:strongest])
        token_scores[start : start + len(of_states)] += of_states @ slopes[: of_states.shape[1]]
        contributions: dict[str, float] = {}
        for name, value, weight in zip([*self.coordinates.names, LEXICAL], carried, weights):
            if weight:
                contributions[name] = contributions.get(name, 0.0) + float(value)
        contributions["bias"] = bias
        if is_word(passage.text):
            contributions[ONE_WORD] = -_NO_ORDER
        return Evidence(sum(contributions.values()), contributions, token_scores.astype(np.float32))
