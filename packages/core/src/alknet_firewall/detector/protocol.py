"""What a detector backend is: token ids in, hidden states at the taps out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.weights import Weights

FloatArray = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int32]
States = Mapping[int, FloatArray]
"""Hidden states by tap, each (batch, length of the longest text, hidden size); undefined behind a text's end."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a batch has come.

    Attributes:
        states: Output of the block at the tap that was reached, (batch, length of the longest text, hidden size).
        carry: What the model goes on from, in a form of its own; None behind the last tap.
    """

    states: FloatArray
    carry: Any = None


@runtime_checkable
class DetectorModel(Protocol):
    """A loaded model; safe to call from several threads at once.

    It is cut at its taps: a batch goes to the first one (`begin`), and those of its texts that are worth it go on to
    the next (`resume`), from where they were.
    """

    @property
    def backend(self) -> str:
        """Name of the backend that runs it."""

    @property
    def precision(self) -> str:
        """Precision that it computes in: `fp32`, `int8`, `bf16`, ..."""

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        """Runs the blocks up to the first tap.

        Args:
            batch: Token ids, template included; texts may differ in length.
        """

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        """Runs the blocks up to the next tap, for some texts of a batch.

        Args:
            stage: What `begin` or an earlier `resume` gave.
            rows: Which texts of it, in order.
        """


@runtime_checkable
class ExtendableModel(DetectorModel, Protocol):
    """A model that can go on where a text stopped; one that cannot reads what grows again from its start."""

    def extend(self, number: int, new: npt.NDArray[Any], past: FloatArray | None) -> tuple[Stage, FloatArray]:
        """Runs the blocks between two taps over the new tokens of one text.

        Args:
            number: Which tap the blocks lead to, from 0.
            new: For number 0 the ids of the new tokens, (n,); else their `carry` from the number before, (1, n, width).
            past: What was returned for the tokens before, joined along axis 3; None if there are none.

        Returns:
            The new tokens' stage, its `carry` an array (1, n, width) or None, and their part of the past.
        """


def hidden_states(model: DetectorModel, taps: Sequence[int], batch: Sequence[TokenIds]) -> States:
    """Runs a whole batch up to the last of the model's taps: by tap, the output of that block."""
    stage, states = model.begin(batch), {}
    everything = np.arange(len(batch))
    for tap in taps[:-1]:
        states[tap] = stage.states
        stage = model.resume(stage, everything)
    return {**states, taps[-1]: stage.states}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a backend is asked to load.

    Attributes:
        weights: The decoder's weights.
        taps: 1-based blocks whose output is wanted, ascending; no block behind the last is loaded.
        precision: One of the backend's `precisions`.
        threads: Threads that one call may use.
        max_length: Longest sequence that will be asked for, in tokens, template included.
    """

    weights: Weights
    taps: tuple[int, ...]
    precision: str
    threads: int
    max_length: int


class Backend(Protocol):
    """A way to run a decoder; plugins return these from the hook `alknet_firewall_backends`.

    Attributes:
        name: What `backend = "..."` in the configuration says.
        rank: Its place in the order of `auto` (`choice.candidates`): the lower comes first.
        precisions: What it can compute in, its preference first.
        families: Architectures that it can run (`Architecture.family`); None for any.
    """

    name: str
    rank: int
    precisions: tuple[str, ...]
    families: tuple[str, ...] | None

    def unavailable(self) -> str | None:
        """Why it cannot run here (a missing package, no device); None if it can."""

    def load(self, spec: ModelSpec) -> DetectorModel:
        """Loads the model.

        Raises:
            WeightsError: The weights are damaged or of a family that this backend cannot run.
            DetectorError: The backend itself failed.
        """


def pad(batch: Sequence[TokenIds]) -> npt.NDArray[np.int64]:
    """Stacks texts of different lengths, padded with id 0 on the right, as int64 (batch, longest)."""
    padded = np.zeros((len(batch), max(map(len, batch))), np.int64)
    for row, ids in zip(padded, batch):
        row[: len(ids)] = ids
    return padded
