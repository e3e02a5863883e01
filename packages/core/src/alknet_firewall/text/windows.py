"""Where long input is cut: windows over tokens, and slices of text for the tokenizer.

Both lay their cuts from the start of the input and look only at what is near a cut, so every piece but the
last stays the same when more text is appended. Streams rely on this.
"""

from __future__ import annotations

from collections.abc import Iterator


def window_bounds(n_tokens: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Lays overlapping windows over a sequence of tokens.

    Window k starts at token `k * (size - overlap)`; the windows stop with the first one that reaches the end.
    A last window therefore holds at least `overlap + 1` tokens unless it is the only one.

    Args:
        n_tokens: length of the sequence, in tokens.
        size: length of a window, in tokens, at least 1.
        overlap: tokens that two neighbouring windows share, from 0 to `size - 1`.

    Returns:
        Half-open `(start, end)` ranges in order, together covering every token; empty when there are no
        tokens.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if n_tokens < 0:
        raise ValueError(f"n_tokens must not be negative, got {n_tokens}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must be from 0 to size - 1 = {size - 1}, got {overlap}")
    if n_tokens == 0:
        return []
    stride = size - overlap
    n_windows = 1 + max(0, -((size - n_tokens) // stride))  # 1 + ceil((n_tokens - size) / stride)
    return [(k * stride, min(k * stride + size, n_tokens)) for k in range(n_windows)]


def slices(text: str, max_chars: int) -> Iterator[tuple[int, int]]:
    """Cuts a text into neighbouring pieces that a tokenizer can take in bounded memory.

    A cut falls in front of the last space, tab or line feed in the last quarter of a piece (tokenizers keep a
    space with the word after it), or after `max_chars` characters where there is none.

    Args:
        text: normalised text (other kinds of white space are not looked for).
        max_chars: the longest piece, in characters, at least 1.

    Returns:
        An iterator of half-open `(start, end)` ranges in order that join to the whole text; none for an empty
        text.

    Raises:
        ValueError: if `max_chars` is less than 1.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars must be at least 1, got {max_chars}")
    return _slices(text, max_chars)


def _slices(text: str, max_chars: int) -> Iterator[tuple[int, int]]:
    start = 0
    while len(text) - start > max_chars:
        limit = start + max_chars
        earliest = start + max(1, max_chars - max_chars // 4)
        space = max(text.rfind(character, earliest, limit + 1) for character in " \t\n")
        end = space if space != -1 else limit
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)
