"""A detector that tells how long its stages take, and how many windows go on to the next one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.protocol import DetectorModel, ExtendableModel, FloatArray, Stage, TokenIds
from alknet_firewall.engine import Engine

Tell = Callable[[str, int, float], None]
"""Is called with the stage (`first` or `further`), how many windows, and the seconds."""

FIRST, FURTHER = "first", "further"


class ObservedModel:
    """A model as it is, with a clock."""

    def __init__(self, model: DetectorModel, tell: Tell) -> None:
        """Takes the model that does the work."""
        self._model, self._tell = model, tell

    @property
    def backend(self) -> str:
        return self._model.backend

    @property
    def precision(self) -> str:
        return self._model.precision

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        started = time.perf_counter()
        stage = self._model.begin(batch)
        self._tell(FIRST, len(batch), time.perf_counter() - started)
        return stage

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        started = time.perf_counter()
        further = self._model.resume(stage, rows)
        self._tell(FURTHER, len(rows), time.perf_counter() - started)
        return further


class ObservedGrowingModel(ObservedModel):
    """The same of a model that can go on where a text stopped."""

    _model: ExtendableModel

    def extend(self, number: int, new: npt.NDArray[Any], past: FloatArray | None) -> tuple[Stage, FloatArray]:
        started = time.perf_counter()
        answer = self._model.extend(number, new, past)
        self._tell(FURTHER if number else FIRST, 1, time.perf_counter() - started)
        return answer


def observe(engine: Engine, tell: Tell) -> None:
    """Puts the clock around an engine's detector, once."""
    model = engine.detector.model
    if not isinstance(model, ObservedModel):
        kind = ObservedGrowingModel if isinstance(model, ExtendableModel) else ObservedModel
        engine.detector = replace(engine.detector, model=kind(model, tell))
