"""The default backend: ONNX Runtime on the CPU, over the graph that `graph.py` writes."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.graph import (
    CARRY,
    INPUT,
    PAST,
    PRECISIONS,
    STATES,
    graph_file,
    keys_and_values,
    segments,
)
from alknet_firewall.detector.processor import has_any
from alknet_firewall.detector.protocol import ModelSpec, Stage, TokenIds, pad
from alknet_firewall.errors import DetectorError


class OnnxRuntimeModel:
    """One ONNX Runtime session for each segment of the decoder."""

    backend = "onnxruntime"

    def __init__(self, spec: ModelSpec) -> None:
        """Builds the graphs (or takes them from the cache) and opens the sessions."""
        self.precision = spec.precision
        self._weights = spec.weights
        shape = spec.weights.architecture
        self._sessions, self._nothing, self._past_names = [], [], []
        for first, last in segments(spec.taps):
            self._sessions.append(_session(spec, first, last))
            self._nothing.append(
                np.zeros((2 * (last - first), 1, shape.n_kv_heads, 0, shape.head_size), np.float32)
            )
            self._past_names.append(keys_and_values(first, last))

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        return self._run(0, self._weights.embedded(pad(batch)))

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        number, carry = stage.carry
        return self._run(number, carry[rows])

    def extend(
        self, number: int, new: npt.NDArray[Any], past: npt.NDArray[np.float32] | None
    ) -> tuple[Stage, npt.NDArray[np.float32]]:
        array = self._weights.embedded(new[None].astype(np.int64)) if number == 0 else new
        given = {INPUT: array, PAST: self._nothing[number] if past is None else past}
        states, carry, *parts = self._sessions[number].run([STATES, CARRY, *self._past_names[number]], given)
        deeper = number + 1 < len(self._sessions)
        return Stage(states, carry if deeper else None), np.stack(parts)

    def _run(self, number: int, array: npt.NDArray[np.float32]) -> Stage:
        given = {INPUT: array, PAST: np.repeat(self._nothing[number], len(array), axis=1)}
        if number + 1 == len(self._sessions):
            [states] = self._sessions[number].run([STATES], given)
            return Stage(states)
        states, carry = self._sessions[number].run([STATES, CARRY], given)
        return Stage(states, (number + 1, carry))


def _onnxruntime() -> Any:
    """ONNX Runtime; imported when it is needed, so that the backends can be listed without it."""
    # From 1.29 on it tells its makers of every model that is loaded, unless this is set before it is imported: a
    # firewall sends nothing. Its uploading threads would also keep a forked child from ending.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # if somebody else has imported it before
    return onnxruntime


def _session(spec: ModelSpec, first: int, last: int) -> Any:
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    # Spinning threads would keep the CPU busy between screenings.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not has_any("avx512_vnni", "avx_vnni"):
        # Other x86 kernels add products of 8 bits in 16 and may saturate; this asks for the exact, slower ones.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    graph = graph_file(spec, first, last, spec.precision, past=True)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base but Exception
        raise DetectorError(f"ONNX Runtime cannot load the detector's graph: {error}") from error


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"
    rank = 10
    precisions: tuple[str, ...] = tuple(reversed(PRECISIONS))
    families: tuple[str, ...] | None = ("llama",)

    def unavailable(self) -> str | None:
        return None if importlib.util.find_spec("onnxruntime") else "not installed: onnxruntime"

    def load(self, spec: ModelSpec) -> OnnxRuntimeModel:
        return OnnxRuntimeModel(spec)
