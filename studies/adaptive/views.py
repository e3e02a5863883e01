"""Shorter stretches of a text that could be read beside its windows: on a fixed grid, on one drawn from a secret, or where
the evidence peaks. Prototypes, outside of the engine, to find out which of them pays.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from alknet_firewall.engine import Engine, Tally
from alknet_firewall.passages import Piece, pieces

_WHOLE = 4096  # tokens of a piece that is cut further here


class Views(Protocol):
    """Chooses stretches of a text."""

    @property
    def name(self) -> str: ...

    def of(self, engine: Engine, text: str, tally: Tally) -> Iterator[Piece]:
        """Stretches to read beside the windows of a text.

        Args:
            engine: Whose tokenizer cuts.
            text: As given.
            tally: What its windows said.
        """
        ...


@dataclass(frozen=True)
class Grid:
    """All stretches of `size` tokens, each `stride` after the last; of a text that is no longer, none."""

    size: int
    stride: int

    @property
    def name(self) -> str:
        return f"stretches of {self.size} tokens, every {self.stride}"

    def of(self, engine: Engine, text: str, tally: Tally) -> Iterator[Piece]:
        for piece in pieces(text, engine.detector.tokenizer, _WHOLE, 0):
            yield from _cut(piece, self.size, self.stride, 0)


@dataclass(frozen=True)
class Keyed:
    """As `Grid`, with the length of the stretches and where they begin drawn from a secret: the same in one deployment.

    `by_text`: drawn from secret and text together, so that a text that is changed is cut anew.
    """

    secret: bytes
    sizes: tuple[int, int]
    by_text: bool = False

    @property
    def name(self) -> str:
        of = "secret and text" if self.by_text else "the secret"
        return f"stretches of {self.sizes[0]} to {self.sizes[1]} tokens, drawn from {of}"

    def of(self, engine: Engine, text: str, tally: Tally) -> Iterator[Piece]:
        drawn = hmac.digest(self.secret, text.encode("utf-8", "replace") if self.by_text else b"windows", "sha256")
        least, most = self.sizes
        size = least + drawn[0] % (most - least + 1)
        stride = size // 2
        for piece in pieces(text, engine.detector.tokenizer, _WHOLE, 0):
            yield from _cut(piece, size, stride, drawn[1] % stride)


@dataclass(frozen=True)
class Peak:
    """Around the strongest evidence of the strongest window, if there is more to the window than that."""

    size: int

    @property
    def name(self) -> str:
        return f"{self.size} tokens around the peak"

    def of(self, engine: Engine, text: str, tally: Tally) -> Iterator[Piece]:
        for strongest in tally.strongest.values():
            piece, scores = strongest.piece, strongest.evidence.token_scores
            if scores is None or len(piece.ids) <= self.size:
                continue
            sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
            first = int(np.argmax(sums[self.size :] - sums[: -self.size]))
            yield part(piece, first, first + self.size)


def _cut(piece: Piece, size: int, stride: int, offset: int) -> Iterator[Piece]:
    n_tokens = len(piece.ids)
    if n_tokens <= size:
        return
    for first in range(offset - stride if offset else 0, n_tokens - stride, stride):
        yield part(piece, max(first, 0), min(first + size, n_tokens))


def part(piece: Piece, first: int, last: int) -> Piece:
    """Tokens `first` to `last` of a piece."""
    begin, end = int(piece.offsets[first, 0]), int(piece.offsets[last - 1, 1])
    offsets = (piece.offsets[first:last] - begin).astype(np.int32)
    return Piece(piece.text[begin:end], piece.ids[first:last], offsets, piece.origin[first:last], piece.decoded)
