"""What `doctor` says of the backends: which can run here, how right and how fast they are, and which one is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from alknet_firewall.cli.checks import Finding, State
from alknet_firewall.detector.choice import Candidate, candidates, why_not
from alknet_firewall.detector.detector import usable_cores
from alknet_firewall.detector.protocol import DetectorModel, ModelSpec, hidden_states
from alknet_firewall.detector.self_test import self_test
from alknet_firewall.detector.weights import Weights, open_weights
from alknet_firewall.engine import Engine
from alknet_firewall.errors import AlknetFirewallError
from alknet_firewall.plugins import Plugins

_TOKENS, _RUNS = 64, 5


def available(plugins: Plugins) -> Iterator[Finding]:
    """Which backends could run here; for where no engine could be loaded to test them with."""
    for backend in sorted(plugins.backends.values(), key=lambda backend: backend.rank):
        reason = why_not(backend)
        told = f"not available: {reason}" if reason else f"computes in {', '.join(backend.precisions)}"
        yield Finding(f"backend {backend.name}", State.NOTED, told)


def examined(engine: Engine) -> Iterator[Finding]:
    """Loads and tests each backend, in the order in which `auto` would take them."""
    config, known, allowed = engine.config, engine.plugins.backends, engine.codebook.precisions
    weights = open_weights(config.weights, allow_moving_revision=config.allow_moving_revision)
    tried: dict[str, Candidate] = {}  # of each backend the first precision, of the one that is taken that which it has
    for candidate in candidates(known, allowed_precisions=allowed):
        if candidate.backend.name not in tried or _is_taken(candidate, engine):
            tried[candidate.backend.name] = candidate
    for candidate in tried.values():
        yield _examine(candidate, engine, weights)
    for name in known.keys() - tried.keys():
        told = f"computes in {', '.join(known[name].precisions)}; the codebook is calibrated for {', '.join(allowed)}"
        yield Finding(f"backend {name}", State.NOTED, told)


def _examine(candidate: Candidate, engine: Engine, weights: Weights) -> Finding:
    about = f"backend {candidate.backend.name}"
    reason = why_not(candidate.backend, weights.architecture.family)
    if reason is not None:
        return Finding(about, State.NOTED, f"not available: {reason}")
    threads = engine.config.threads or usable_cores()
    length = engine.codebook.window.size + 64
    spec = ModelSpec(weights, engine.detector.taps, candidate.precision, threads, length)
    try:
        if not _is_taken(candidate, engine):
            model, cosine = candidate.load(spec)
            return Finding(about, State.NOTED, _figures(model, spec, cosine))
        model = engine.detector.model
        told = _figures(model, spec, self_test(model, spec))
    except AlknetFirewallError as error:
        return Finding(about, State.WARNING, f"fails: {error}")
    why = "the fastest that is right here" if engine.config.backend == "auto" else "as configured"
    return Finding(about, State.GOOD, f"taken, {why}: {told}")


def _is_taken(candidate: Candidate, engine: Engine) -> bool:
    model = engine.detector.model
    return (candidate.backend.name, candidate.precision) == (model.backend, model.precision)


def _figures(model: DetectorModel, spec: ModelSpec, cosine: float | None) -> str:
    """What a model computes in, its self-test, and the time of one text of 64 tokens."""
    ids = np.arange(1, min(_TOKENS, spec.max_length) + 1, dtype=np.int32)
    times = []
    for _ in range(_RUNS + 1):
        start = time.perf_counter()
        hidden_states(model, spec.taps, [ids])
        times.append(time.perf_counter() - start)
    near = "states finite" if cosine is None else f"cosine {cosine:.5f} to the reference"
    milliseconds = 1000 * statistics.median(times[1:])  # without the first, which may prepare something
    return f"{spec.precision}, {near}, {milliseconds:.1f} ms for {len(ids)} tokens"
