"""Where the evidence stands: from scores of tokens to a range of characters."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

_BORDER = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+|\n+")  # between sentences, and at line ends


def strongest_range(token_scores: npt.NDArray[np.float32]) -> tuple[int, int]:
    """The contiguous tokens that lie most above the average of their window (Kadane's maximum subarray).

    Args:
        token_scores: (n_tokens,), n_tokens >= 1.

    Returns:
        A half-open range of at least one token.
    """
    excess = token_scores.astype(np.float64) - token_scores.mean()
    sums = np.concatenate([[0.0], np.cumsum(excess)])  # (n + 1,)
    lowest = np.minimum.accumulate(sums[:-1])
    end = int(np.argmax(sums[1:] - lowest)) + 1
    start = int(np.flatnonzero(sums[:end] == lowest[end - 1])[-1])
    return start, end


def sentence_range(text: str, start: int, end: int) -> tuple[int, int]:
    """Widens a range of characters to whole sentences or lines, without the white space around them."""
    borders = [(match.start(), match.end()) for match in _BORDER.finditer(text)]
    first = max((after for _, after in borders if after <= start), default=0)
    last = min((before for before, _ in borders if before >= end), default=len(text))
    inside = text[first:last]
    if not inside.strip():  # nothing but white space: there is no sentence to widen to
        return start, end
    return first + len(inside) - len(inside.lstrip()), max(first + len(inside.rstrip()), start + 1)
