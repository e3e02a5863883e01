"""What a detector backend is: token ids in, hidden states at the taps out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.weights import Weights

TokenIds = npt.NDArray[np.int32]
States = Mapping[int, npt.NDArray[np.float32]]
"""Hidden states by tap, each (batch, length of the longest text, hidden size); undefined behind a text's end."""


@runtime_checkable
class DetectorModel(Protocol):
    """A loaded model; safe to call from several threads at once."""

    @property
    def backend(self) -> str:
        """Name of the backend that runs it."""

    @property
    def precision(self) -> str:
        """Precision that it computes in: `fp32`, `int8`, `bf16`, ..."""

    def hidden_states(self, batch: Sequence[TokenIds]) -> States:
        """Runs the blocks up to the last tap.

        Args:
            batch: Token ids, template included; texts may differ in length.

        Returns:
            By tap, the output of that block.
        """


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
        rank: `auto` takes the available backend with the lowest rank.
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
