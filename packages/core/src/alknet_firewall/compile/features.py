"""What is fitted on: token states turned into a small space, one vector a readout, n-gram counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from alknet_firewall.codebook.readout import BUILT_IN, FEATURE, Readout
from alknet_firewall.compile.basis import whitening
from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.probe import ProjectedTokens
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.states import StateStore
from alknet_firewall.compile.words import count_ngrams
from alknet_firewall.sae.fold import Folded, fold
from alknet_firewall.sae.sae import SAE

FloatArray = npt.NDArray[np.float32]

_DIMS = 256  # principal components that heads are trained on
_SAMPLE = 60_000  # tokens that the components are computed from
_FOLDED_ON = 4_000  # tokens from which the threshold of a topk autoencoder is learnt


@dataclass(frozen=True)
class Projection:
    """Whitening followed by principal components: y = ((x - mean) / deviation) @ components.

    Nothing is clipped, so that a coordinate is the same when it is fitted and when it screens.
    """

    mean: FloatArray
    deviation: FloatArray
    components: FloatArray  # (hidden, dims)

    def __call__(self, states: npt.NDArray[np.float16] | FloatArray) -> FloatArray:
        """Projects states (n, hidden) to (n, dims)."""
        whitened = (states.astype(np.float32) - self.mean) / self.deviation
        return np.asarray(whitened @ self.components, np.float32)

    def back(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turns vectors in the small space (k, dims) into directions (k, hidden) and offsets (k,) on states."""
        directions = (rows @ self.components.T) / self.deviation
        return directions.astype(np.float32), (-directions @ self.mean).astype(np.float32)

    @classmethod
    def fit(cls, states: FloatArray, dims: int) -> Projection:
        """Fits to states (n, hidden)."""
        mean, deviation = (part.astype(np.float32) for part in whitening(states))
        whitened = (states - mean) / deviation
        _, vectors = np.linalg.eigh(np.cov(whitened.T.astype(np.float64)))
        return cls(mean, deviation, vectors[:, ::-1][:, :dims].astype(np.float32))


@dataclass(frozen=True)
class TapFeatures:
    """One tap of all windows."""

    tokens: ProjectedTokens
    token_projection: Projection
    end_projection: Projection


@dataclass(frozen=True)
class Features:
    """All stretches, ready to be fitted on, and the words of all windows.

    Attributes:
        taps: By tap, for learned directions; empty otherwise.
        vectors: By tap and readout, one vector a stretch, (s, hidden).
        words: Counts of hashed n-grams of the windows, (m, buckets); None without words.
        saes: By tap, features of a sparse autoencoder (basis `sae`); their means over stretches are among the vectors.
    """

    taps: Mapping[int, TapFeatures]
    vectors: Mapping[tuple[int, str], FloatArray]
    words: csr_matrix | None
    saes: Mapping[int, Folded] = field(default_factory=dict)


def make_features(
    corpus: Corpus,
    store: StateStore,
    folded: npt.NDArray[np.uint64],
    settings: CompileSettings,
    readouts: Mapping[str, Readout] = BUILT_IN,
    saes: Mapping[int, tuple[SAE, float]] | None = None,
) -> Features:
    """Reads the store twice: for the vectors and a sample of tokens, then to project all tokens.

    `saes` holds by tap an autoencoder, and the root mean square of a typical state's numbers there (basis `sae`).
    """
    lengths = np.array([len(ids) for ids in corpus.ids])
    start = np.concatenate([[0], np.cumsum(lengths)])  # of windows, among all tokens
    stretches = _stretches_by_window(corpus)
    names = settings.readouts
    share = min(1.0, _SAMPLE / max(int(start[-1]), 1))
    generator = np.random.default_rng(settings.seed)
    vectors: dict[tuple[int, str], FloatArray] = {}
    samples: dict[int, list[FloatArray]] = {tap: [] for tap in settings.taps}
    for window, states in store:
        for tap in settings.taps:
            array = states[tap].astype(np.float32)
            text, suffix = array[: lengths[window]], array[lengths[window] :]
            for name in names:
                rows = vectors.setdefault((tap, name), np.empty((len(corpus.window), array.shape[1]), np.float32))
                for at, tokens_of in stretches[window]:
                    own = np.concatenate([text[tokens_of], suffix])
                    rows[at] = readouts[name].shares(own, store.suffix) @ own
            picked = generator.random(lengths[window]) < share
            samples[tap].append(text[picked])
    words = count_ngrams(corpus.ids, folded, settings.buckets) if settings.words else None
    if settings.basis == "sae":
        found = {
            tap: fold(sae, np.concatenate(samples[tap])[:_FOLDED_ON], length)
            for tap, (sae, length) in (saes or {}).items()
        }
        for tap, folded_sae in found.items():
            vectors[tap, FEATURE] = np.empty((len(corpus.window), len(folded_sae.offsets)), np.float32)
        for window, states in store:
            for tap, folded_sae in found.items():
                codes = folded_sae.codes(states[tap][: lengths[window]].astype(np.float32))
                for at, tokens_of in stretches[window]:
                    vectors[tap, FEATURE][at] = codes[tokens_of].mean(0)
        return Features({}, vectors, words, found)
    if settings.basis != "learned":
        return Features({}, vectors, words)
    ends = {tap: vectors.get((tap, "template_end")) for tap in settings.taps}
    projections: dict[int, tuple[Projection, Projection]] = {}
    for tap in settings.taps:
        sample = np.concatenate(samples[tap])
        dims = min(_DIMS, sample.shape[1])
        end = ends[tap]
        of_tokens = Projection.fit(sample, dims)
        projections[tap] = of_tokens, of_tokens if end is None else Projection.fit(end, dims)
    tokens = {
        tap: np.empty((int(start[-1]), of_tokens.components.shape[1]), np.float16)
        for tap, (of_tokens, _) in projections.items()
    }
    for window, states in store:
        for tap, (of_tokens, _) in projections.items():
            tokens[tap][start[window] : start[window + 1]] = of_tokens(states[tap][: lengths[window]])
    taps = {}
    for tap, (of_tokens, of_end) in projections.items():
        end = ends[tap]
        none = np.zeros((len(corpus.window), tokens[tap].shape[1]), np.float32)
        projected_end = torch.from_numpy(none if end is None else of_end(end))
        projected = ProjectedTokens(torch.from_numpy(tokens[tap]), corpus.start, projected_end)
        taps[tap] = TapFeatures(projected, of_tokens, of_end)
    return Features(taps, vectors, words)


def _stretches_by_window(corpus: Corpus) -> list[list[tuple[int, slice]]]:
    """For each window its stretches: number, and which of the window's tokens."""
    begin = corpus.start[np.searchsorted(corpus.window, corpus.window)]  # of each stretch's window
    firsts, lasts = (corpus.start[:-1] - begin).tolist(), (corpus.start[1:] - begin).tolist()
    found: list[list[tuple[int, slice]]] = [[] for _ in corpus.ids]
    for at, window in enumerate(corpus.window.tolist()):
        found[window].append((at, slice(firsts[at], lasts[at])))
    return found
