"""A Llama-family decoder written as an ONNX graph, straight from its weights.

An exporter names nodes by accident and hides inner states. Written by hand, a block is a score of nodes with stable
names, the outputs are the taps that are wanted, no block behind the last tap exists, and torch is not needed.

The mathematics is that of Llama (arXiv:2302.13971): pre-norm with RMSNorm (arXiv:1910.07467), rotary positions
(arXiv:2104.09864), grouped-query attention (arXiv:2305.13245), SwiGLU (arXiv:2002.05202). What is folded is exact:
the weights of a norm go into the matrix behind it, 1/sqrt(head size) into the query matrix; q, k, v are one matrix,
gate and up are one.

Batches are ragged by padding on the right: attention is causal, so no token sees what stands behind it, and no mask
is needed. States at padding are to be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from alknet_firewall.detector.architecture import EMBEDDING, Architecture, block_tensors
from alknet_firewall.detector.weights import Weights
from alknet_firewall.errors import WeightsError

FloatArray = npt.NDArray[np.float32]

OPSET = 17
PRECISIONS = ("fp32", "int8")


def build_graph(
    weights: Weights,
    taps: Sequence[int],
    *,
    precision: str = "fp32",
    max_length: int = 512,
    first_block: int = 0,
) -> onnx.ModelProto:
    """Writes the blocks up to the last tap.

    The input is `input_ids`, int64 (batch, length); with `first_block` > 0 it is `tap_<first_block>`, float32
    (batch, length, hidden): the states that an earlier stage ended with, so that nothing is computed twice. The
    outputs are `tap_<n>` for each tap, float32 (batch, length, hidden).

    Args:
        weights: Of a decoder of the Llama family.
        taps: 1-based blocks whose output is wanted.
        precision: `fp32`; or `int8`: weights per output channel and activations per token are rounded to 8 bits, sums
            are exact int32. Scales of their own for each token keep the attention sink (the first token, whose
            states are huge) from blurring the others, and make a verdict independent of its batch.
        max_length: Longest sequence, in tokens.
        first_block: Number of blocks that have run already.

    Raises:
        WeightsError: The family is another, a tap is out of range, or a tensor is missing or misshapen.
    """
    architecture = weights.architecture
    last = max(taps)
    if architecture.family != "llama":
        raise WeightsError(
            f"{weights.path}: {architecture.family!r} cannot be written as a graph; use backend = 'torch'"
        )
    if architecture.variations:
        raise WeightsError(
            f"{weights.path}: {', '.join(architecture.variations)} cannot be written as a graph; use backend = 'torch'"
        )
    if not first_block < min(taps) <= last <= architecture.n_layers:
        raise WeightsError(f"taps {sorted(taps)}: must lie in {first_block + 1}..{architecture.n_layers}")
    graph = _Graph()
    if first_block:
        source = f"tap_{first_block}"
        shape: list[str | int | None] = ["batch", "length", architecture.hidden_size]
        inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)]
        states = source
    else:
        source = "input_ids"
        inputs = [helper.make_tensor_value_info(source, TensorProto.INT64, ["batch", "length"])]
        embedding = weights.tensor(EMBEDDING)
        if (
            embedding.ndim != 2
            or len(embedding) < architecture.vocabulary
            or embedding.shape[1] != architecture.hidden_size
        ):
            raise WeightsError(f"{weights.path}: the embedding has shape {embedding.shape}")
        states = graph.add("Gather", [graph.constant("embedding", embedding), source], "embedded")
    block = _Block(graph, architecture, precision, source, max_length)
    for layer in range(first_block, last):
        states = block.add(layer, states, _block_matrices(weights, layer))
    outputs = [
        helper.make_tensor_value_info(
            f"tap_{tap}", TensorProto.FLOAT, ["batch", "length", architecture.hidden_size]
        )
        for tap in sorted(taps)
    ]
    return helper.make_model(
        helper.make_graph(graph.nodes, "detector", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="alknet-firewall",
    )


def _block_matrices(weights: Weights, layer: int) -> dict[str, FloatArray]:
    """The four matrices of a block, each (inputs, outputs), with norms and the attention scale folded in."""
    a = weights.architecture
    norm1, q, k, v, o, norm2, gate, up, down = (weights.tensor(name) for name in block_tensors(layer))
    expected = {
        "input_layernorm": (norm1, (a.hidden_size,)),
        "post_attention_layernorm": (norm2, (a.hidden_size,)),
        "q_proj": (q, (a.n_heads * a.head_size, a.hidden_size)),
        "k_proj": (k, (a.n_kv_heads * a.head_size, a.hidden_size)),
        "v_proj": (v, (a.n_kv_heads * a.head_size, a.hidden_size)),
        "o_proj": (o, (a.hidden_size, a.n_heads * a.head_size)),
        "gate_proj": (gate, (a.mlp_size, a.hidden_size)),
        "up_proj": (up, (a.mlp_size, a.hidden_size)),
        "down_proj": (down, (a.hidden_size, a.mlp_size)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor.shape != shape:
            raise WeightsError(
                f"{weights.path}: {name} of block {layer + 1} has shape {tensor.shape}, expected {shape}"
            )
    scale = np.float32(a.head_size**-0.5)
    return {
        "qkv": (np.concatenate([q * scale, k, v]) * norm1).T,
        "out": o.T,
        "gate_up": (np.concatenate([gate, up]) * norm2).T,
        "down": down.T,
    }


class _Graph:
    """Nodes and constants under construction; every node is named after what it computes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: set[str] = set()

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        if name not in self._names:  # shared by all blocks
            self._names.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        return self.split(operator, inputs, [name], **attributes)[0]

    def split(
        self, operator: str, inputs: Sequence[str], names: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names


class _Block:
    """Adds blocks to a graph; holds what they share: rotary tables, the causal mask, and their sizes."""

    def __init__(
        self, graph: _Graph, shape: Architecture, precision: str, source: str, max_length: int
    ) -> None:
        self.graph, self.shape, self.precision = graph, shape, precision
        constant, add = graph.constant, graph.add
        size = add("Shape", [source], "source_shape", start=1, end=2)  # (1,): the length
        zero = constant("zero", np.array([0]))
        # RoPE: position p turns the pair (i, i + half) of a head by p * theta^(-i / half).
        half = shape.head_size // 2
        angles = np.arange(max_length)[:, None] * shape.rope_theta ** (-np.arange(half) / half)
        for name, table in (("cosine", np.cos(angles)), ("sine", np.sin(angles))):
            add(
                "Slice", [constant(f"{name}_table", table.astype(np.float32)), zero, size], name
            )  # (length, half)
        blocked = np.triu(np.full((max_length, max_length), -1e9, np.float32), 1)
        both = add("Concat", [size, size], "length_twice", axis=0)
        add("Slice", [constant("mask_table", blocked), constant("zeros", np.array([0, 0])), both], "mask")
        heads, groups = (
            constant("heads", np.array([0, shape.n_heads])),
            constant("groups", np.array([0, shape.n_kv_heads, -1])),
        )
        rest = constant("rest", np.array([-1]))
        add("Concat", [heads, size, rest], "by_head", axis=0)
        add("Concat", [groups, size], "by_group", axis=0)

    def add(self, layer: int, states: str, matrices: dict[str, FloatArray]) -> str:
        """Adds the block with 0-based index `layer`; returns the name of its output, `tap_<layer + 1>`."""
        name = f"block_{layer + 1}"
        attended = self._attention(f"{name}/attention", self._norm(f"{name}/norm_1", states), matrices)
        states = self.graph.add("Add", [states, attended], f"{name}/after_attention")
        expanded = self._mlp(f"{name}/mlp", self._norm(f"{name}/norm_2", states), matrices)
        return self.graph.add("Add", [states, expanded], f"tap_{layer + 1}")

    def _norm(self, name: str, x: str) -> str:
        add, constant = self.graph.add, self.graph.constant
        power = add("Pow", [x, constant("two", np.float32(2))], f"{name}/square")
        mean = add("ReduceMean", [power], f"{name}/mean", axes=[-1], keepdims=1)
        shifted = add("Add", [mean, constant("eps", np.float32(self.shape.norm_eps))], f"{name}/shifted")
        normed = add("Div", [x, add("Sqrt", [shifted], f"{name}/root")], f"{name}/divided")
        ones = constant(
            "ones", np.ones(self.shape.hidden_size, np.float32)
        )  # completes the pattern that ORT fuses
        return add("Mul", [normed, ones], name)

    def _attention(self, name: str, x: str, matrices: dict[str, FloatArray]) -> str:
        add, split, constant, shape = self.graph.add, self.graph.split, self.graph.constant, self.shape
        heads, kv, size = shape.n_heads, shape.n_kv_heads, shape.head_size
        qkv = self._matmul(f"{name}/qkv", x, matrices["qkv"])
        per_head = constant("split_heads", np.array([0, 0, heads + 2 * kv, size]))
        qkv = add(
            "Transpose",
            [add("Reshape", [qkv, per_head], f"{name}/heads")],
            f"{name}/turned",
            perm=[0, 2, 1, 3],
        )
        turning = constant("turning", np.array([heads + kv, kv]))
        qk, v = split(
            "Split", [qkv, turning], [f"{name}/qk", f"{name}/v"], axis=1
        )  # (batch, heads, length, size)
        qk = self._rotate(f"{name}/rope", qk)
        q, k = split(
            "Split", [qk, constant("q_k", np.array([heads, kv]))], [f"{name}/q", f"{name}/k"], axis=1
        )
        # The query heads that share a key head become one tall matrix: no key is repeated.
        q = add("Reshape", [q, constant("stacked", np.array([0, kv, -1, size]))], f"{name}/q_stacked")
        scores = add(
            "MatMul", [q, add("Transpose", [k], f"{name}/k_turned", perm=[0, 1, 3, 2])], f"{name}/scores"
        )
        scores = add(
            "Add", [add("Reshape", [scores, "by_head"], f"{name}/scores_by_head"), "mask"], f"{name}/masked"
        )
        share = add("Softmax", [scores], f"{name}/share", axis=-1)  # (batch, heads, length, length)
        share = add("Reshape", [share, "by_group"], f"{name}/share_stacked")
        mixed = add(
            "Reshape", [add("MatMul", [share, v], f"{name}/mixed"), "by_head"], f"{name}/mixed_by_head"
        )
        mixed = add("Transpose", [mixed], f"{name}/mixed_turned", perm=[0, 2, 1, 3])
        joined = constant("join_heads", np.array([0, 0, heads * size]))
        return self._matmul(f"{name}/out", add("Reshape", [mixed, joined], f"{name}/joined"), matrices["out"])

    def _rotate(self, name: str, x: str) -> str:
        add, split = self.graph.add, self.graph.split
        half = self.graph.constant("halves", np.array([self.shape.head_size // 2] * 2))
        a, b = split("Split", [x, half], [f"{name}/a", f"{name}/b"], axis=-1)
        a_cos, b_sin = add("Mul", [a, "cosine"], f"{name}/a_cos"), add("Mul", [b, "sine"], f"{name}/b_sin")
        b_cos, a_sin = add("Mul", [b, "cosine"], f"{name}/b_cos"), add("Mul", [a, "sine"], f"{name}/a_sin")
        first = add("Sub", [a_cos, b_sin], f"{name}/first")
        return add("Concat", [first, add("Add", [b_cos, a_sin], f"{name}/second")], name, axis=-1)

    def _mlp(self, name: str, x: str, matrices: dict[str, FloatArray]) -> str:
        add = self.graph.add
        both = self._matmul(f"{name}/gate_up", x, matrices["gate_up"])
        half = self.graph.constant("gate_and_up", np.array([self.shape.mlp_size] * 2))
        gate, up = self.graph.split("Split", [both, half], [f"{name}/gate", f"{name}/up"], axis=-1)
        silu = add("Mul", [gate, add("Sigmoid", [gate], f"{name}/sigmoid")], f"{name}/silu")
        return self._matmul(f"{name}/down", add("Mul", [silu, up], f"{name}/gated"), matrices["down"])

    def _matmul(self, name: str, x: str, matrix: FloatArray) -> str:
        add, constant = self.graph.add, self.graph.constant
        if self.precision == "fp32":
            return add("MatMul", [x, constant(f"{name}/weights", matrix)], name)
        # Symmetric int8: one scale an output channel for the weights, one a token for the activations.
        scales = np.maximum(np.abs(matrix).max(axis=0), 1e-12) / 127
        weights = constant(f"{name}/weights", np.rint(matrix / scales).astype(np.int8))
        largest = add("ReduceMax", [add("Abs", [x], f"{name}/abs")], f"{name}/largest", axes=[-1], keepdims=1)
        largest = add("Max", [largest, constant("tiny", np.float32(1e-12))], f"{name}/positive")
        factor = add("Div", [constant("127", np.float32(127)), largest], f"{name}/factor")
        # Unsigned with 128 for zero: the form for which x86 has the fastest dot product (VNNI).
        moved = add(
            "Add",
            [add("Mul", [x, factor], f"{name}/scaled"), constant("128", np.float32(128))],
            f"{name}/moved",
        )
        levels = add(
            "Cast", [add("Round", [moved], f"{name}/rounded")], f"{name}/levels", to=TensorProto.UINT8
        )
        zero_point = constant("zero_point", np.uint8(128))
        sums = add("MatMulInteger", [levels, weights, zero_point], f"{name}/sums")
        back = add(
            "Mul", [largest, constant(f"{name}/scales", (scales / 127).astype(np.float32))], f"{name}/back"
        )
        return add("Mul", [add("Cast", [sums], f"{name}/float", to=TensorProto.FLOAT), back], name)
