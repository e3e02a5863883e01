"""Where a text that is still growing can be cut, so that what comes later hardly ever changes what stands before."""

from __future__ import annotations

STRETCH = 128
"""Characters that are gathered before they are normalised and tokenized."""

_LONGEST = 512  # without a space to cut at, as in Chinese: then anywhere, but not close to the end
_SPARE = 32


def stable_end(tail: str) -> int:
    """How much of the end of a text can be taken as it stands; 0 if it should grow first.

    A cut falls in front of the last white space that follows a word: a tokenizer begins a new piece there, and no
    combining sequence, escape or surrogate pair goes across. It is a good guess, not a promise: who relies on it
    compares with the whole once that is there.

    Args:
        tail: What has not been taken yet.
    """
    if len(tail) < STRETCH:
        return 0
    end = max(_before(tail, blank) for blank in " \n\t")
    if end > 0:
        return end
    return len(tail) - _SPARE if len(tail) >= _LONGEST else 0


def _before(tail: str, blank: str) -> int:
    """The last place where `blank` follows a character that is no white space; 0 if there is none."""
    at = tail.rfind(blank)
    while at > 0 and tail[at - 1].isspace():
        at = tail.rfind(blank, 0, at)
    return max(at, 0)
