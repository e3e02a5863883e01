"""Fits the lexical readout: a multinomial logistic regression on hashed n-grams of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from alknet_firewall.codebook.lexical import FloatArray, ngram_buckets

_C = 5.0  # inverse strength of the L2 penalty
_MIN_WINDOWS = 2  # an n-gram of one window alone teaches nothing
_ITERATIONS = 60


@dataclass(frozen=True)
class NgramVectors:
    """TF-IDF vectors of all windows.

    Attributes:
        rarity: Inverse document frequency of each bucket, 0 where it is too rare to learn from, (buckets,).
        vectors: Rows of length 1, (windows, buckets).
    """

    rarity: FloatArray
    vectors: csr_matrix


def ngram_vectors(
    windows: Sequence[npt.NDArray[np.int32]], folded: npt.NDArray[np.uint64], buckets: int
) -> NgramVectors:
    """Hashes, counts and weighs the n-grams of windows."""
    counts = count_ngrams(windows, folded, buckets)
    frequency = np.bincount(counts.indices, minlength=buckets)
    rarity = np.log((1 + len(windows)) / (1 + frequency)) + 1
    rarity[frequency < _MIN_WINDOWS] = 0
    # Rounded to what the artefact stores, so that what is fitted is what screens.
    rarity = rarity.astype(np.float16).astype(np.float32)
    return NgramVectors(rarity, tfidf(counts, rarity))


def count_ngrams(
    windows: Sequence[npt.NDArray[np.int32]], folded: npt.NDArray[np.uint64], buckets: int
) -> csr_matrix:
    """Counts the hashed n-grams of windows, (m, buckets), as 1 + log(count)."""
    pointers, columns, values = [0], [], []
    for ids in windows:
        grams = ngram_buckets(folded[ids], buckets)
        distinct, counts = np.unique(np.concatenate(grams), return_counts=True)
        columns.append(distinct)
        values.append(1 + np.log(counts))
        pointers.append(pointers[-1] + len(distinct))
    return csr_matrix(
        (np.concatenate(values).astype(np.float32), np.concatenate(columns), np.array(pointers)),
        shape=(len(windows), buckets),
    )


def tfidf(counts: csr_matrix, rarity: FloatArray) -> csr_matrix:
    """Weighs counts by rarity and scales each row to length 1."""
    scaled = counts.copy()
    scaled.data = scaled.data * rarity[scaled.indices]
    squares = np.add.reduceat(np.append(scaled.data**2, 0), scaled.indptr[:-1])
    squares[np.diff(scaled.indptr) == 0] = 0
    scaled.data /= np.repeat(np.maximum(np.sqrt(squares), 1e-12), np.diff(scaled.indptr))
    return scaled


def fit_words(
    vectors: csr_matrix, classes: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], behaviors: int
) -> FloatArray:
    """Fits the weights of n-grams.

    Args:
        vectors: TF-IDF vectors of windows, (m, buckets).
        classes: 0 for benign, b + 1 for behavior b, (m,).
        weights: Of the windows, (m,).
        behaviors: How many there are.

    Returns:
        Weights of each bucket, a row a behavior, (behaviors, buckets); a window's score is its vector times them.
    """
    used = np.unique(vectors.indices)
    model = LogisticRegression(C=_C, max_iter=_ITERATIONS)
    model.fit(vectors[:, used], classes, sample_weight=weights)
    rows = model.coef_ if len(model.coef_) > 1 else np.concatenate([np.zeros_like(model.coef_), model.coef_])
    learned = np.zeros((behaviors, vectors.shape[1]), np.float32)
    learned[:, used] = rows[1:] - rows[:1]
    return learned.astype(np.float16).astype(np.float32)
