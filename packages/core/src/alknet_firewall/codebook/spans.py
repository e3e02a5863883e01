"""Where the evidence stands: from scores of tokens to a range of characters."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

_BORDER = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+|\n+")  # between sentences, and at line ends
_LONG = 48  # tokens of a sentence or line from which on a part of it is named, as of JSON on one line


def strongest_range(excess: npt.NDArray[np.floating]) -> tuple[int, int]:
    """The contiguous stretch with the largest sum (Kadane's maximum subarray).

    Args:
        excess: How far each place lies above what is usual, (n,), n >= 1.

    Returns:
        A half-open range of at least one place.
    """
    sums = np.concatenate([[0.0], np.cumsum(excess.astype(np.float64))])  # (n + 1,)
    lowest = np.minimum.accumulate(sums[:-1])
    end = int(np.argmax(sums[1:] - lowest)) + 1
    start = int(np.flatnonzero(sums[:end] == lowest[end - 1])[-1])
    return start, end


def evidence_range(
    text: str, offsets: npt.NDArray[np.int32], token_scores: npt.NDArray[np.float32]
) -> tuple[int, int]:
    """The tokens that carry most: neighbouring whole sentences or lines, or a part of one that is long.

    Args:
        text: Of the window.
        offsets: Character ranges of its tokens, (n_tokens, 2), n_tokens >= 1.
        token_scores: Share of each token in the evidence, (n_tokens,).

    Returns:
        A half-open range of tokens, without white space at its ends where there is anything else.
    """
    excess = token_scores.astype(np.float64) - token_scores.mean()
    borders = np.array([match.end() for match in _BORDER.finditer(text)], np.int64)
    sentence = np.searchsorted(borders, offsets[:, 1] - 1, "right")
    _, sentence = np.unique(sentence, return_inverse=True)  # of each token, ascending, none without tokens
    first, last = strongest_range(np.bincount(sentence, excess).astype(np.float64))
    inside = np.flatnonzero((sentence >= first) & (sentence < last))
    start, end = int(inside[0]), int(inside[-1]) + 1
    if last - first == 1 and end - start > _LONG:
        within = excess[start:end]
        a, b = strongest_range(within - within.mean())
        start, end = start + a, start + b
    words = [i for i in range(start, end) if text[offsets[i, 0] : offsets[i, 1]].strip()]
    return (words[0], words[-1] + 1) if words else (start, end)
