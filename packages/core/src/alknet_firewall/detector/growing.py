"""A text that grows: states of the tokens so far never change in a causal model, so they are computed once.

What is kept of each block are the keys and values of its attention, as a language model does when it writes
(arXiv:1911.02150 calls it incremental inference). Tokens that turn out otherwise than first thought, as at the end of
a piece of text, are forgotten from the first difference on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.protocol import DetectorModel, ExtendableModel, FloatArray, Stage, TokenIds


@dataclass(slots=True)
class _Kept:
    """What is known of a text between two taps: of its first n tokens, n the same in all three."""

    past: FloatArray  # (2 * blocks, 1, heads, n, head size)
    states: FloatArray  # (1, n, hidden size)
    carry: FloatArray | None  # (1, n, width)

    def head(self, n: int) -> _Kept:
        """Copies, so that what lies behind is freed."""
        carry = None if self.carry is None else self.carry[:, :n].copy()
        return _Kept(self.past[:, :, :, :n].copy(), self.states[:, :n].copy(), carry)


    def joined(self, more: _Kept) -> _Kept:
        """With the tokens that follow."""
        carry = None
        if self.carry is not None and more.carry is not None:
            carry = np.concatenate([self.carry, more.carry], axis=1)
        states = np.concatenate([self.states, more.states], axis=1)
        return _Kept(np.concatenate([self.past, more.past], axis=3), states, carry)


class GrowingText:
    """Reads one text again and again while it grows. Not to be shared between threads."""

    def __init__(self, model: DetectorModel) -> None:
        """Nothing is known yet."""
        self._model = model
        self._ids: TokenIds = np.empty(0, np.int32)
        self._kept: list[_Kept] = []
        self._lasting = 0

    @property
    def nbytes(self) -> int:
        """Memory that is kept, in bytes."""
        arrays = (array for kept in self._kept for array in (kept.past, kept.states, kept.carry))
        return sum(array.nbytes for array in arrays if array is not None)

    def forget(self) -> None:
        """Frees the memory: the next `begin` reads from the start."""
        self._ids, self._kept = self._ids[:0], []

    def begin(self, ids: TokenIds, lasting: int) -> Stage:
        """Runs the blocks up to the first tap, over what is new.

        Args:
            ids: The whole text so far, template included, (n,).
            lasting: How many of them are worth keeping; those behind are only for this time.

        Returns:
            States of all n tokens, (1, n, hidden size), as `DetectorModel.begin` would give them.
        """
        if not isinstance(self._model, ExtendableModel):
            return self._model.begin([ids])
        same = min(len(self._ids), len(ids))
        differing = np.flatnonzero(self._ids[:same] != ids[:same])
        known = int(differing[0]) if len(differing) else same
        if known < len(self._ids):
            self._kept = [kept.head(min(known, kept.states.shape[1])) for kept in self._kept]
        self._ids, self._lasting = ids[:lasting], lasting
        return self._extend(0, ids, None)

    def resume(self, stage: Stage) -> Stage:
        """Runs the blocks up to the next tap, over what is new there."""
        if not isinstance(self._model, ExtendableModel):
            return self._model.resume(stage, np.zeros(1, np.int64))
        number, carry = stage.carry
        return self._extend(number, None, carry)

    def _extend(self, number: int, ids: TokenIds | None, carry: FloatArray | None) -> Stage:
        assert isinstance(self._model, ExtendableModel)
        kept = self._kept[number] if number < len(self._kept) else None
        new: npt.NDArray[np.generic] | None = carry if ids is None else ids[None]  # (1, n, ...)
        assert new is not None
        known = 0 if kept is None else min(kept.states.shape[1], new.shape[1] - 1)  # of nothing there is nothing to run
        past = None
        if kept is not None and known:
            kept = kept if known == kept.states.shape[1] else kept.head(known)
            past = kept.past
        rest = new[:, known:] if ids is None else new[0, known:]
        stage, part = self._model.extend(number, rest, past)
        whole = _Kept(part, stage.states, stage.carry)
        if kept is not None and known:
            whole = kept.joined(whole)
        self._kept[number : number + 1] = [whole.head(self._lasting)]
        return Stage(whole.states, None if whole.carry is None else (number + 1, whole.carry))
