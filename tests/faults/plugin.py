"""A plugin that goes wrong on command, as others may at any time: a backend and a behavior.

Both are well behaved until a text holds the canary while a mode is armed, so that engines load, and hosts say what they
say of themselves, in peace. The modes `load: ...` are for loading.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall import hookimpl
from alknet_firewall.behavior import Evidence, Passage
from alknet_firewall.detector.onnx_runtime import OnnxRuntimeBackend
from alknet_firewall.detector.protocol import Backend, DetectorModel, FloatArray, ModelSpec, Stage, TokenIds
from alknet_firewall.detector.tokenizer import load_tokenizer
from tests.hosts.cases import CANARY
from tests.hosts.faults import SLOW_SECONDS, Quiet

ENTRY_POINTS = {"fault_matrix": "tests.faults.plugin:PLUGIN", "fault_import": "tests.faults.importing"}
HANG_SECONDS = 5.0
"""At most: a backend that hangs goes on as soon as the mode is not armed any more."""


class _Switch:
    def __init__(self) -> None:
        self.mode = ""
        self.off = threading.Event()


_switch = _Switch()


@contextmanager
def armed(mode: str) -> Iterator[None]:
    """While this lasts, `mode` is what goes wrong."""
    _switch.mode, _switch.off = mode, threading.Event()
    try:
        yield
    finally:
        _switch.mode = ""
        _switch.off.set()


def is_armed(mode: str) -> bool:
    return _switch.mode == mode


# What a backend may do to the states of a batch.


def _raises(states: FloatArray) -> FloatArray:
    raise RuntimeError("the device is on fire")


def _no_memory(states: FloatArray) -> FloatArray:
    raise MemoryError


def _hangs(states: FloatArray) -> FloatArray:
    _switch.off.wait(HANG_SECONDS)
    return states


BACKEND_MODES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "backend raises": _raises,
    "backend gives NaN": lambda states: states * np.float32(np.nan),
    "backend gives the wrong width": lambda states: states[..., :-1],
    "backend gives too few texts": lambda states: states[:0],
    "backend out of memory": _no_memory,
    "backend hangs": _hangs,
}


@dataclass
class _FaultyModel:
    """Not one that extends: what grows is then read anew, and the canary is never cut in two."""

    inner: DetectorModel
    canary: TokenIds
    backend: str = "fault_matrix"
    precision: str = "fp32"

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        stage = self.inner.begin(batch)
        if _switch.mode == "load: backend gives NaN":
            return replace(stage, states=stage.states * np.float32(np.nan))
        fault = BACKEND_MODES.get(_switch.mode)
        if fault is not None and any(_holds(ids, self.canary) for ids in batch):
            return replace(stage, states=fault(stage.states))
        return stage

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        return self.inner.resume(stage, rows)


class _FaultyBackend:
    name = "fault_matrix"
    rank = 1000
    precisions: tuple[str, ...] = ("fp32",)
    families: tuple[str, ...] | None = None

    def unavailable(self) -> str | None:
        return None

    def load(self, spec: ModelSpec) -> DetectorModel:
        if _switch.mode == "load: backend out of memory":
            raise MemoryError
        canary = load_tokenizer(spec.weights).encode(CANARY).ids
        return _FaultyModel(OnnxRuntimeBackend().load(spec), canary)


def _holds(ids: TokenIds, wanted: TokenIds) -> bool:
    windows = (
        np.lib.stride_tricks.sliding_window_view(ids, len(wanted)) if len(ids) >= len(wanted) else ids[:0]
    )
    return bool(len(windows)) and bool((windows == wanted).all(axis=1).any())


# What a behavior may do.


def _quotes(text: str) -> None:
    raise RuntimeError(f"cannot read {text!r}")  # as careless code does


def _exits(text: str) -> None:
    raise SystemExit(3)


def _is_slow(text: str) -> None:
    _switch.off.wait(SLOW_SECONDS)


def _signals(number: int) -> Callable[[str], None]:
    def send(text: str) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(number)
        else:
            os.kill(os.getpid(), number)
            _switch.off.wait(SLOW_SECONDS)

    return send


BEHAVIOR_MODES: dict[str, Callable[[str], None]] = {
    "plugin raises and quotes the text": _quotes,
    "plugin exits": _exits,
    "plugin is slow": _is_slow,
    "SIGINT": _signals(signal.SIGINT),
    "SIGTERM": _signals(signal.SIGTERM),
    "SIGALRM": _signals(signal.SIGALRM),
}


class FaultyBehavior(Quiet):
    def assess(self, passages: list[Passage], channel: str) -> list[Evidence]:
        armed_for = [passage.text for passage in passages if CANARY in passage.text]
        if armed_for and _switch.mode == "plugin gives NaN":
            return [Evidence(float("nan")) for _ in passages]
        if armed_for and _switch.mode in BEHAVIOR_MODES:
            BEHAVIOR_MODES[_switch.mode](armed_for[0])
        return [Evidence(-10.0) for _ in passages]


class _Plugin:
    @hookimpl
    def alknet_firewall_backends(self) -> list[Backend]:
        return [_FaultyBackend()]

    @hookimpl
    def alknet_firewall_behaviors(self) -> list[Any]:
        return [FaultyBehavior("fault_matrix")]


PLUGIN = _Plugin()
