"""Faults that are switched on and off while a firewall works."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall import Firewall
from alknet_firewall.detector.protocol import DetectorModel, Stage, TokenIds

FAULTS = ("raises", "hangs", "NaN", "shape")
"""What the detector may be made to do."""


class Switched:
    """A model that misbehaves while it is told to.

    Attributes:
        fault: One of `FAULTS`, or an empty string.
    """

    def __init__(self, model: DetectorModel) -> None:
        self.backend, self.precision, self._model = model.backend, model.precision, model
        self.fault = ""
        self._well = threading.Event()

    def switch(self, fault: str) -> None:
        """Begins to misbehave, or with an empty string stops: what hung goes on then."""
        if fault:
            self._well.clear()
            self.fault = fault
        else:
            self.fault = ""
            self._well.set()

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        fault = self.fault
        if fault == "raises":
            raise RuntimeError("switched on")
        if fault == "hangs":
            self._well.wait(60)
        stage = self._model.begin(batch)
        if fault == "NaN":
            return Stage(stage.states * np.float32(np.nan), stage.carry)
        return Stage(stage.states[:, :-1], stage.carry) if fault == "shape" else stage

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        return self._model.resume(stage, rows)


def switched(firewall: Firewall) -> Switched:
    """Puts such a model into a loaded firewall."""
    engine: Any = firewall.engine
    model = Switched(engine.detector.model)
    firewall._engine = replace(engine, detector=replace(engine.detector, model=model))
    return model


def damage(folder: Path, rng: random.Random) -> int:
    """Overwrites a part of each file of a cache, as a disk may; returns how many there were."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    for path in files:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(rng.randrange(max(1, size)))
            file.write(rng.randbytes(64))
            file.truncate(size)
    return len(files)
