"""From a text of any length to windows of tokens, a slice at a time, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.text.decode import View, decoded_views
from alknet_firewall.text.normalise import NormalisedText, normalise
from alknet_firewall.text.windows import slices, window_bounds

SLICE_CHARS = 1 << 16
"""Characters of a text that are normalised and tokenized at a time."""
IntArray = npt.NDArray[np.int32]
_MOSTLY = 1 / 3  # of the characters of a window: by then too little is left as it stands to be read
_NOTHING: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)


@dataclass(frozen=True, slots=True)
class Piece:
    """A window of tokens, on its way to the detector.

    Attributes:
        text: Its normalised characters.
        ids: Token ids, (n_tokens,).
        offsets: Character ranges of the tokens in `text`, (n_tokens, 2).
        origin: Original character ranges of the tokens, (n_tokens, 2).
        decoded: What was undone to get this text (`base64`, `spaced`, ...); None for the text as it stands.
        replaced: True if much of it is written in a way that was undone: windows of the view stand for it.
    """

    text: str
    ids: IntArray
    offsets: IntArray
    origin: npt.NDArray[np.int64]
    decoded: str | None = None
    replaced: bool = False

    def head(self, n: int) -> Piece:
        """The first `n` tokens."""
        text = self.text[: int(self.offsets[n - 1, 1])]
        return Piece(text, self.ids[:n], self.offsets[:n], self.origin[:n], self.decoded, self.replaced)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Tokens that wait to be cut: a stretch of normalised text with everything that points into it."""

    text: str
    ids: IntArray
    offsets: IntArray
    origin: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, start: int, end: int, decoded: str | None = None) -> Piece:
        first, last = int(self.offsets[start, 0]), int(self.offsets[end - 1, 1])
        text = self.text[first:last]
        return Piece(
            text, self.ids[start:end], self.offsets[start:end] - first, self.origin[start:end], decoded
        )

    def drop(self, n: int) -> _Tokens:
        """Without the first `n` tokens and the text that only they need."""
        first = int(self.offsets[n, 0]) if n < len(self) else len(self.text)
        return _Tokens(self.text[first:], self.ids[n:], self.offsets[n:] - first, self.origin[n:])

    def join(self, other: _Tokens) -> _Tokens:
        if not len(self):
            return other
        return _Tokens(
            self.text + other.text,
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.offsets, other.offsets + np.int32(len(self.text))]),
            np.concatenate([self.origin, other.origin]),
        )


class Cutter:
    """Cuts a text into windows on a fixed grid while it comes in slices: window i starts at token i * stride.

    Attributes:
        number: Of the first window that is still to come.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, overlap: int, *, decode: bool = True) -> None:
        """Takes what `pieces` takes."""
        self._tokenizer, self._size, self._overlap, self._decode = tokenizer, size, overlap, decode
        self._waiting = _Tokens(
            "", np.empty(0, np.int32), np.empty((0, 2), np.int32), np.empty((0, 2), np.int64)
        )
        self._undone = _NOTHING  # in this slice and the one before, whose last window is still to come
        self.number = 0

    def add(self, text: str, start: int) -> Iterator[Piece]:
        """Takes the next slice; gives its views' windows, and all windows but the last one so far.

        Args:
            text: The slice, as given; cut where `slices` or a stretch of white space cuts.
            start: Where in the whole text it starts.
        """
        normalised = normalise(text)
        self._waiting = self._waiting.join(_tokenize(normalised, start, self._tokenizer))
        if self._decode:
            views = decoded_views(normalised)
            self._undone = np.concatenate([self._undone, *(view.undone + start for view in views)])
            # First: where a text is only read up to a limit, nothing up to there may be left out.
            for view in views:
                yield from view_pieces(view, start, self._tokenizer, self._size, self._overlap)
        *ready, _ = window_bounds(len(self._waiting), self._size, self._overlap) or [(0, 0)]
        for first, last in ready:
            self.number += 1
            yield marked(self._waiting.cut(first, last), self._undone)
        self._waiting = self._waiting.drop(len(ready) * (self._size - self._overlap))
        if len(self._waiting):
            self._undone = self._undone[self._undone[:, 1] > self._waiting.origin[0, 0]]

    def __len__(self) -> int:
        """Tokens of the last window so far."""
        return len(self._waiting)

    @property
    def place(self) -> int | None:
        """Where in the whole text the last window so far starts; None if nothing is left."""
        return int(self._waiting.origin[0, 0]) if len(self._waiting) else None

    def last(self) -> Piece | None:
        """The last window so far; None if nothing is left."""
        n_tokens = len(self._waiting)
        return marked(self._waiting.cut(0, n_tokens), self._undone) if n_tokens else None

    def fork(self, *, decode: bool) -> Cutter:
        """One that has come as far as this one, and goes on by itself."""
        other = copy(self)
        other._decode = decode
        return other


def pieces(
    text: str, tokenizer: Tokenizer, size: int, overlap: int, *, decode: bool = True
) -> Iterator[Piece]:
    """Cuts a text into windows on a fixed grid: window i starts at token i * (size - overlap).

    Windows of what is written in disguise, decoded, come before those of their slice as it stands.

    Args:
        text: As given, of any length; it is normalised and tokenized in slices of 65,536 characters.
        tokenizer: The detector's.
        size: Tokens a window, at most.
        overlap: Tokens that a window shares with the one before.
        decode: Whether decoded views are cut, too.
    """
    for _, cut in slice_pieces(text, tokenizer, size, overlap, decode=decode):
        yield from cut


def slice_pieces(
    text: str, tokenizer: Tokenizer, size: int, overlap: int, *, decode: bool = True
) -> Iterator[tuple[int, Iterator[Piece]]]:
    """As `pieces`, a slice at a time: where it ends in the text, and its windows, cut when they are asked for."""
    cutter = Cutter(tokenizer, size, overlap, decode=decode)
    for start, end in slices(text, SLICE_CHARS):
        yield end, cutter.add(text[start:end], start)
    last = cutter.last()
    if last is not None:
        yield len(text), iter([last])


def view_pieces(view: View, start: int, tokenizer: Tokenizer, size: int, overlap: int) -> Iterator[Piece]:
    """Cuts a decoded view of a stretch of text that starts at `start` into windows."""
    tokens = _tokenize(view, start, tokenizer)
    for first, last in window_bounds(len(tokens), size, overlap):
        yield tokens.cut(first, last, view.kind)


def marked(piece: Piece, undone: npt.NDArray[np.int64]) -> Piece:
    """Marks a window of which more than a third was undone, if all of it is in a passage of a view.

    Args:
        piece: The window.
        undone: Ranges of the text, (k, 4), as in `View.undone`.
    """
    if not len(undone):
        return piece
    first, last = int(piece.origin[0, 0]), int(piece.origin[-1, 1])
    standing = undone[(undone[:, 2] <= first) & (last <= undone[:, 3])]
    covered = np.clip(standing[:, :2], first, last)
    share = int((covered[:, 1] - covered[:, 0]).sum()) / max(last - first, 1)
    return replace(piece, replaced=True) if share > _MOSTLY else piece


def _tokenize(normalised: NormalisedText, start: int, tokenizer: Tokenizer) -> _Tokens:
    encoding = tokenizer.encode(normalised.text)
    origin = normalised.original_spans(encoding.offsets) + start
    return _Tokens(normalised.text, encoding.ids, encoding.offsets, origin)
