"""A detector: weights, tokenizer and a backend that runs them, under one fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from alknet_firewall.detector.cache import cached
from alknet_firewall.detector.protocol import Backend, DetectorModel, ModelSpec
from alknet_firewall.detector.tokenizer import Tokenizer, load_tokenizer
from alknet_firewall.detector.weights import Weights
from alknet_firewall.errors import DetectorError

_FINGERPRINT_FORMAT = 3


@dataclass(frozen=True)
class Detector:
    """A loaded detector.

    Attributes:
        model: Token ids in, hidden states at the taps out.
        tokenizer: Text in, token ids and offsets out.
        taps: 1-based blocks that are read.
        fingerprint: SHA-256 over weights up to the last tap, tokenizer, template and taps; equal for the same
            weights at any door, on any backend.
    """

    model: DetectorModel
    tokenizer: Tokenizer
    taps: tuple[int, ...]
    fingerprint: str


def load_detector(
    weights: Weights,
    taps: tuple[int, ...],
    backends: Mapping[str, Backend],
    *,
    backend: str = "auto",
    precision: str = "auto",
    allowed_precisions: tuple[str, ...] | None = None,
    threads: int | None = None,
    max_length: int = 512,
) -> Detector:
    """Loads a detector.

    Args:
        weights: The decoder's weights.
        taps: 1-based blocks to read.
        backends: Those at hand, by name.
        backend: A name, or `auto` for the available one of the lowest rank.
        precision: What to compute in, or `auto` for the first that both the backend and the codebook know.
        allowed_precisions: Those that the codebook's calibration holds for; None allows any.
        threads: None for the cores that this process may use.
        max_length: Longest sequence, template included.

    Raises:
        DetectorError: The backend is unknown or cannot run here, or knows no precision that is allowed.
        WeightsError: The weights are damaged or of a family that the backend cannot run.
    """
    chosen = choose_backend(backends, backend, weights.architecture.family)
    known = [p for p in chosen.precisions if allowed_precisions is None or p in allowed_precisions]
    if not known or (precision != "auto" and precision not in known):
        raise DetectorError(
            f"precision {precision!r} with backend {chosen.name!r}: it computes in {', '.join(chosen.precisions)}, and "
            f"the codebook is calibrated for {', '.join(allowed_precisions or chosen.precisions)}"
        )
    tokenizer = load_tokenizer(weights)
    spec = ModelSpec(
        weights=weights,
        taps=tuple(sorted(taps)),
        precision=known[0] if precision == "auto" else precision,
        threads=threads or usable_cores(),
        max_length=max_length,
    )
    return Detector(chosen.load(spec), tokenizer, spec.taps, fingerprint(weights, tokenizer, spec.taps))


def choose_backend(backends: Mapping[str, Backend], name: str = "auto", family: str = "llama") -> Backend:
    """The backend called `name`, or for `auto` the one of the lowest rank that can run models of `family` here.

    Raises:
        DetectorError: It is unknown, or cannot run here; the message says why, for each.
    """
    reasons = {other: why_not(backends[other], family) for other in backends}
    if name == "auto":
        available = [backends[other] for other, reason in reasons.items() if reason is None]
        if available:
            return min(available, key=lambda backend: backend.rank)
        raise DetectorError("no backend can run here: " + "; ".join(f"{k}: {v}" for k, v in reasons.items()))
    if name not in backends:
        raise DetectorError(f"backend {name!r} is unknown; there are auto, {', '.join(sorted(backends))}")
    if reasons[name] is not None:
        raise DetectorError(f"backend {name!r} cannot run here: {reasons[name]}")
    return backends[name]


def why_not(backend: Backend, family: str = "llama") -> str | None:
    """Why a backend cannot run models of `family` here; None if it can."""
    if backend.families is not None and family not in backend.families:
        return f"runs {', '.join(backend.families)} models, not {family}"
    return backend.unavailable()


def fingerprint(weights: Weights, tokenizer: Tokenizer, taps: tuple[int, ...]) -> str:
    """SHA-256 over weights up to the last tap, architecture, tokenizer, template and taps, as hex digits.

    Hashing all values takes a second, so the result is cached by a hash of the files.
    """

    def compute() -> bytes:
        parts = [weights.digest(max(taps)), tokenizer.digest(), sorted(taps), weights.architecture.mathematics()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest().encode()

    described = f"{_FINGERPRINT_FORMAT} {weights.file_digest()} {sorted(taps)}"
    return cached("fingerprints", described, compute).decode()


def usable_cores() -> int:
    """Cores that this process may use: affinity, and the CPU quota of its control group where there is one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores
