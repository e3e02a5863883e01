"""The graph that is written from the weights computes what the reference computes, whatever the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from alknet_firewall.detector.detector import Detector
from alknet_firewall.detector.graph import build_graph
from alknet_firewall.detector.protocol import TokenIds, pad
from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.detector.weights import GgufWeights
from alknet_firewall.errors import WeightsError

FloatArray = npt.NDArray[np.float32]
TAPS = (1, 4, 8, 16)
INT8_COSINE = 0.96  # of a token's state with the reference's, at the worst token of the texts; of the mean, below
INT8_MEAN_COSINE = 0.99


@pytest.fixture(scope="module")
def batch(tokenizer: Tokenizer, texts: tuple[str, ...]) -> list[TokenIds]:
    """Texts in the template, of many lengths."""
    prefix, suffix = tokenizer.template.prefix, tokenizer.template.suffix
    return [np.array([*prefix, *tokenizer.encode(text).ids, *suffix], np.int32) for text in texts[:24:3]]


Own = list[dict[int, FloatArray]]  # of each text, by tap, without what is padded


def own(detector: Detector, batch: list[TokenIds]) -> Own:
    states = detector.model.hidden_states(batch)
    return [{tap: states[tap][row, : len(ids)] for tap in TAPS} for row, ids in enumerate(batch)]


@pytest.fixture(scope="module")
def exact(torch_detector: Detector, batch: list[TokenIds]) -> Own:
    return own(torch_detector, batch)


@pytest.fixture(scope="module")
def fp32(onnx_detector: Detector, batch: list[TokenIds]) -> Own:
    return own(onnx_detector, batch)


@pytest.fixture(scope="module")
def int8(int8_detector: Detector, batch: list[TokenIds]) -> Own:
    return own(int8_detector, batch)


@pytest.mark.parametrize("tap", TAPS)
def test_fp32_against_the_reference(fp32: Own, exact: Own, tap: int) -> None:
    for ours, theirs in zip((text[tap] for text in fp32), (text[tap] for text in exact)):
        error = np.linalg.norm(ours - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
        assert error.max() < 1e-4


@pytest.mark.parametrize("tap", TAPS)
def test_int8_against_fp32(fp32: Own, int8: Own, tap: int) -> None:
    cosines = []
    for ours, theirs in zip((text[tap] for text in int8), (text[tap] for text in fp32)):
        products = (ours * theirs).sum(-1)
        cosines.append(products / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1))
    every = np.concatenate(cosines)
    assert every.min() > INT8_COSINE and every.mean() > INT8_MEAN_COSINE


@pytest.mark.parametrize(("name", "together"), [("onnx_detector", "fp32"), ("int8_detector", "int8")])
def test_a_text_is_the_same_alone_and_in_a_ragged_batch(
    name: str, together: str, batch: list[TokenIds], request: pytest.FixtureRequest
) -> None:
    detector: Detector = request.getfixturevalue(name)
    for ids, states in zip(batch, request.getfixturevalue(together)):
        [alone] = own(detector, [ids])
        for tap in TAPS:
            scale = np.linalg.norm(alone[tap], axis=-1).max()
            assert np.abs(states[tap] - alone[tap]).max() / scale < 1e-5


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_two_stages_equal_one_piece(weights: GgufWeights, batch: list[TokenIds], precision: str) -> None:
    first = session(build_graph(weights, [8], precision=precision, max_length=256))
    second = session(build_graph(weights, [10], precision=precision, max_length=256, first_block=8))
    whole = session(build_graph(weights, [8, 10], precision=precision, max_length=256))
    ids = pad(batch[:3])
    [tap_8] = first.run(["tap_8"], {"input_ids": ids})
    [tap_10] = second.run(["tap_10"], {"tap_8": tap_8})
    for staged, piece in zip((tap_8, tap_10), whole.run(["tap_8", "tap_10"], {"input_ids": ids})):
        np.testing.assert_allclose(staged, piece, rtol=1e-4, atol=1e-4 * np.abs(piece).max())


def session(model: onnx.ModelProto) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    onnx.checker.check_model(model)
    return runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_the_graph_is_no_deeper_than_the_last_tap(tiny: Any) -> None:
    names = {node.name.split("/")[0] for node in build_graph(tiny.weights, [1, 2]).graph.node}
    assert "block_2" in names and "block_3" not in names


def test_the_same_weights_give_the_same_bytes(tiny: Any) -> None:
    one, two = (build_graph(tiny.weights, [2]).SerializeToString(deterministic=True) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(("taps", "first_block"), [([0], 0), ([4], 0), ([-1, 2], 0), ([1], 1), ([1, 2], 1)])
def test_taps_out_of_range(tiny: Any, taps: list[int], first_block: int) -> None:
    with pytest.raises(WeightsError, match="must lie in"):
        build_graph(tiny.weights, taps, first_block=first_block)
