"""From the states of a window to coordinates: each is a weighted mean over tokens, projected on a direction.

    coordinate_j = sum over tokens t of  share_j(t) * (state(t) . direction_j)  +  offset_j

Readouts differ only in the shares: `last` takes the last token of the text, `template_end` the last of the template,
`mean` all tokens of the text alike, and `attention` lets a learned query choose, as a head of attention does
(share_j = softmax over tokens of state(t) . query_j; Bahdanau et al., arXiv:1409.0473). A `peak` takes the 16
neighbouring tokens whose mean projection is highest, all alike: what stands in one sentence of a long window is not
diluted by the rest, and no single trigger word is enough (as the sliding-window mean of arXiv:2601.04603). States are
RMS-normalised first, as the next block of the detector would read them.

A feature of a sparse autoencoder (`sae:` and its number) is none of these: the offset belongs to each token, and what
does not come over a threshold counts as nothing.

    before_j(t) = state(t) . direction_j + offset_j
    coordinate_j = mean over tokens t of  before_j(t) where that is above threshold_j, 0 elsewhere

A window may be read in stretches: the sum runs over the tokens of one stretch (and the template's end), so a payload
among harmless sentences is not diluted by them, while its states have still seen what stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

ATTENTION = "attention"
PEAK = "peak"
FEATURE = "sae"
"""Before the number of a feature of a sparse autoencoder, as in `sae:17`."""
PEAK_TOKENS = 16
"""Tokens of the run that a peak reads."""


class Readout(Protocol):
    """Chooses tokens; plugins return these from the hook `alknet_firewall_readouts`."""

    @property
    def name(self) -> str:
        """What a codebook calls it."""

    def shares(self, states: FloatArray, suffix: int) -> FloatArray:
        """Shares of the tokens of a window.

        Args:
            states: Normalised, (n_tokens + suffix, hidden); the last `suffix` rows are the template's end.
            suffix: May be 0.

        Returns:
            (n_tokens + suffix,), adding up to 1.
        """


@dataclass(frozen=True, slots=True)
class Last:
    """All weight on the last token of the text."""

    name: str = "last"

    def shares(self, states: FloatArray, suffix: int) -> FloatArray:
        return _one_hot(len(states), len(states) - suffix - 1)


@dataclass(frozen=True, slots=True)
class TemplateEnd:
    """All weight on the last token of the template behind the text, which has seen all of it."""

    name: str = "template_end"

    def shares(self, states: FloatArray, suffix: int) -> FloatArray:
        return _one_hot(len(states), len(states) - 1)


@dataclass(frozen=True, slots=True)
class Mean:
    """The same weight on each token of the text."""

    name: str = "mean"

    def shares(self, states: FloatArray, suffix: int) -> FloatArray:
        shares = np.zeros(len(states), np.float32)
        shares[: len(states) - suffix] = 1 / (len(states) - suffix)
        return shares


BUILT_IN: dict[str, Readout] = {readout.name: readout for readout in (Last(), TemplateEnd(), Mean())}


def normalised(states: FloatArray) -> FloatArray:
    """RMSNorm without weights (arXiv:1910.07467), over the last axis."""
    scale = np.sqrt(np.einsum("...h,...h->...", states, states) / states.shape[-1] + 1e-12)
    result: FloatArray = states / scale[..., None]
    return result


def attention_shares(scores: FloatArray, suffix: int) -> FloatArray:
    """Softmax over the tokens of the text; none for the template's end.

    Args:
        scores: Of each token for each query, (n_tokens + suffix, k).
        suffix: Rows of the template's end.

    Returns:
        (n_tokens + suffix, k), each column adding up to 1.
    """
    n_tokens = len(scores) - suffix
    shares = np.zeros_like(scores)
    exponentials = np.exp(scores[:n_tokens] - scores[:n_tokens].max(axis=0))
    shares[:n_tokens] = exponentials / exponentials.sum(axis=0)
    return shares


def peak_shares(projected: FloatArray, suffix: int) -> FloatArray:
    """The run of `PEAK_TOKENS` tokens of the text with the highest mean.

    Args:
        projected: Of each token on each direction, (n_tokens + suffix, k).
        suffix: Rows of the template's end.

    Returns:
        (n_tokens + suffix, k), each column adding up to 1.
    """
    n_tokens, k = len(projected) - suffix, projected.shape[1]
    size = min(PEAK_TOKENS, n_tokens)
    sums = np.concatenate([np.zeros((1, k)), np.cumsum(projected[:n_tokens], axis=0, dtype=np.float64)])
    starts = np.argmax(sums[size:] - sums[:-size], axis=0)  # (k,)
    places = np.arange(len(projected))[:, None]
    inside = (places >= starts) & (places < starts + size)
    shares: FloatArray = inside.astype(np.float32) / np.float32(size)
    return shares


def feature_parts(before: FloatArray, thresholds: FloatArray, suffix: int) -> FloatArray:
    """What each token gives to features of a sparse autoencoder.

    Args:
        before: The features before their thresholds, (n_tokens + suffix, k).
        thresholds: Not negative, (k,).
        suffix: Rows of the template's end, which give nothing.

    Returns:
        (n_tokens + suffix, k); each column adds up to the feature's mean over the text.
    """
    n_tokens = len(before) - suffix
    parts = np.zeros_like(before)
    parts[:n_tokens] = np.where(before[:n_tokens] > thresholds, before[:n_tokens], 0) / np.float32(n_tokens)
    return parts


def stretches(n_tokens: int, size: int) -> IntArray:
    """Borders of the stretches that a window is read in: every `size` tokens, the last from half to one and a half.

    They lie on a fixed grid, so that those in front stay the same while a window grows.

    Args:
        n_tokens: Of the window, >= 1.
        size: In tokens; 0 for the window as a whole.

    Returns:
        (stretches + 1,) ascending from 0 to `n_tokens`.
    """
    count = max(1, (n_tokens + size // 2) // size) if size else 1
    borders = np.arange(count + 1) * size
    borders[-1] = n_tokens
    return borders


def is_feature(readout: str) -> bool:
    """Whether the name of a readout names a feature of a sparse autoencoder."""
    kind, _, number = readout.partition(":")
    return kind == FEATURE and number.isdecimal()


def _one_hot(length: int, place: int) -> FloatArray:
    shares = np.zeros(length, np.float32)
    shares[place] = 1
    return shares
