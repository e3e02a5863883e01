"""The default backend: ONNX Runtime on the CPU, over the graph that `graph.py` writes."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from alknet_firewall.detector.cache import cached
from alknet_firewall.detector.graph import PRECISIONS, build_graph
from alknet_firewall.detector.protocol import ModelSpec, States, TokenIds, pad
from alknet_firewall.errors import DetectorError


class OnnxRuntimeModel:
    """A graph in an ONNX Runtime session."""

    backend = "onnxruntime"

    def __init__(self, spec: ModelSpec) -> None:
        """Builds the graph (or takes it from the cache) and opens a session."""
        import onnxruntime as ort  # here, so that the backends can be listed without it

        self.precision = spec.precision
        self._outputs = {f"tap_{tap}": tap for tap in spec.taps}
        options = ort.SessionOptions()
        options.intra_op_num_threads = spec.threads
        options.inter_op_num_threads = 1
        # Spinning threads would keep the CPU busy between screenings.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not _has_vnni():
            # Other x86 kernels add products of 8 bits in 16 and may saturate; this asks for the exact, slower ones.
            options.add_session_config_entry("session.x64quantprecision", "1")
        options.log_severity_level = 3
        graph = _graph(spec)
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base but Exception
            raise DetectorError(f"ONNX Runtime cannot load the detector's graph: {error}") from error

    def hidden_states(self, batch: Sequence[TokenIds]) -> States:
        states = self._session.run(list(self._outputs), {"input_ids": pad(batch)})
        return dict(zip(self._outputs.values(), states))


def _has_vnni() -> bool:
    """Whether the processor is known to multiply 8 bits and add in 32 (VNNI)."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux: nothing is known, and exact is what matters
        return False
    return "avx512_vnni" in told or "avx_vnni" in told


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"
    rank = 10
    precisions: tuple[str, ...] = tuple(reversed(PRECISIONS))
    families: tuple[str, ...] | None = ("llama",)

    def unavailable(self) -> str | None:
        missing = [name for name in ("onnxruntime", "onnx") if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(missing)}" if missing else None

    def load(self, spec: ModelSpec) -> OnnxRuntimeModel:
        return OnnxRuntimeModel(spec)


_GRAPH_FORMAT = 1  # raise it whenever build_graph writes something else


def _graph(spec: ModelSpec) -> bytes:
    def build() -> bytes:
        model = build_graph(spec.weights, spec.taps, precision=spec.precision, max_length=spec.max_length)
        return bytes(model.SerializeToString())

    described = f"{_GRAPH_FORMAT} {spec.weights.file_digest()} {spec.taps} {spec.precision} {spec.max_length}"
    return cached("graphs", described, build)
