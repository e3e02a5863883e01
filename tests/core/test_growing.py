"""A text that grows has the states of the whole, whatever came when and what was thought in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.graph import CARRY, INPUT, PAST, STATES, build_graph, keys_and_values
from alknet_firewall.detector.growing import GrowingText
from alknet_firewall.detector.protocol import DetectorModel, Stage, TokenIds

TOLERANCE = {"fp32": 1e-3, "int8": 1e-3}


def taps_of(detector: Detector, growing: GrowingText, ids: TokenIds, lasting: int) -> list[Any]:
    stage = growing.begin(ids, lasting)
    states = [stage.states]
    for _ in detector.taps[1:]:
        stage = growing.resume(stage)
        states.append(stage.states)
    return states


def check(detector: Detector, seed: int, length: int) -> None:
    """Grows a text at random, its last tokens changing each time, now and then only to the first tap."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, detector.tokenizer.vocabulary_size, length).astype(np.int32)
    growing, n = GrowingText(detector.model), 0
    while n < length:
        n = min(length, n + int(rng.integers(1, 1 + length // 3)))
        lasting = int(rng.integers(0, n + 1))
        now = ids[:n].copy()
        now[lasting:] = rng.integers(3, detector.tokenizer.vocabulary_size, n - lasting)
        whole = detector.hidden_states([now])
        only_first = rng.random() < 0.3
        found = [growing.begin(now, lasting).states] if only_first else taps_of(detector, growing, now, lasting)
        for tap, states in zip(detector.taps, found):
            size = np.linalg.norm(whole[tap])
            assert states.shape == whole[tap].shape
            assert np.linalg.norm(states - whole[tap]) <= TOLERANCE[detector.model.precision] * size


@pytest.mark.parametrize("seed", range(20))
def test_states_are_those_of_the_whole(tiny: Any, seed: int) -> None:
    check(tiny.detector, seed, 90)


@pytest.mark.parametrize("seed", range(2))
def test_of_the_real_model(int8_detector: Detector, onnx_detector: Detector, seed: int) -> None:
    check(int8_detector, seed, 120)
    check(onnx_detector, seed, 60)


def test_of_the_reference(tiny: Any, backends: Any) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    detector = load_detector(tiny.weights, (1, 2), backends, backend="torch", max_length=128)
    for seed in range(5):
        check(detector, seed, 60)


class Unextendable:
    """A backend that can only read from the start."""

    def __init__(self, model: DetectorModel) -> None:
        self.backend, self.precision, self._model = model.backend, model.precision, model
        self.begin, self.resume = model.begin, model.resume


def test_a_backend_that_cannot_go_on_reads_anew(tiny: Any) -> None:
    ids = np.arange(3, 33, dtype=np.int32)
    growing = GrowingText(Unextendable(tiny.detector.model))  # type: ignore[arg-type]
    for n in (10, 30):
        for tap, states in zip((1, 2), taps_of(tiny.detector, growing, ids[:n], n)):
            np.testing.assert_allclose(states, tiny.detector.hidden_states([ids[:n]])[tap], atol=1e-5)
    assert growing.nbytes == 0


def test_what_is_forgotten_is_read_again_and_takes_no_memory(tiny: Any) -> None:
    ids = np.arange(3, 43, dtype=np.int32)
    growing = GrowingText(tiny.detector.model)
    before = taps_of(tiny.detector, growing, ids, 40)
    assert growing.nbytes > 0
    growing.forget()
    assert growing.nbytes == 0
    for one, other in zip(before, taps_of(tiny.detector, growing, ids, 40)):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_only_new_tokens_are_run(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, run = tiny.detector.model, []
    extend = type(model).extend

    def counted(self: Any, number: int, new: Any, past: Any) -> tuple[Stage, Any]:
        run.append((number, new.shape[-1] if number == 0 else new.shape[1]))
        return extend(self, number, new, past)

    monkeypatch.setattr(type(model), "extend", counted)
    ids = np.arange(3, 43, dtype=np.int32)
    growing = GrowingText(model)
    taps_of(tiny.detector, growing, ids[:30], 28)
    growing.begin(ids[:35], 35)
    taps_of(tiny.detector, growing, ids, 40)
    assert run == [(0, 30), (1, 30), (0, 7), (0, 5), (1, 12)]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_graph_with_a_past_is_valid_and_without_tokens_in_it_the_same(tiny: Any, precision: str) -> None:
    plain = build_graph(tiny.weights, 0, 2, precision=precision, max_length=32)
    past = build_graph(tiny.weights, 0, 2, precision=precision, max_length=32, past=True)
    onnx.checker.check_model(onnx.load_from_string(past), full_check=True)
    rows = tiny.weights.embedded(np.arange(20).reshape(2, 10))
    a = tiny.weights.architecture
    nothing = np.zeros((4, 2, a.n_kv_heads, 0, a.head_size), np.float32)
    one, other = (onnxruntime.InferenceSession(graph) for graph in (plain, past))
    expected = one.run([STATES, CARRY], {INPUT: rows})
    *found, keys = other.run([STATES, CARRY, keys_and_values(0, 2)[0]], {INPUT: rows, PAST: nothing})
    for ours, theirs in zip(found, expected):
        np.testing.assert_array_equal(ours, theirs)
    assert keys.shape == (2, a.n_kv_heads, 10, a.head_size)
