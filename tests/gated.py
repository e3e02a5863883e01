"""A detector that stops where it is told, until it is let go: for what happens while it is busy, or hangs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall import Firewall
from alknet_firewall.detector.protocol import DetectorModel, Stage, TokenIds


class Gated:
    """A model that waits at texts with a `#`.

    Attributes:
        begun: Set once it waits.
        gate: Set to let it go on, and whatever comes after.
        windows: How many windows it was asked for.
    """

    backend, precision = "gated", "fp32"

    def __init__(self, model: DetectorModel, trigger: int) -> None:
        self._model, self._trigger = model, trigger
        self.begun, self.gate = threading.Event(), threading.Event()
        self.windows = 0

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        self.windows += len(batch)
        if any((ids == self._trigger).any() for ids in batch):
            self.begun.set()
            assert self.gate.wait(60)
        return self._model.begin(batch)

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        return self._model.resume(stage, rows)


def gated(firewall: Firewall) -> Gated:
    """Puts such a model into a firewall."""
    engine: Any = firewall.engine
    model = Gated(engine.detector.model, int(engine.detector.tokenizer.encode("#").ids[0]))
    firewall._engine = replace(engine, detector=replace(engine.detector, model=model))
    return model
