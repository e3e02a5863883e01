"""A Llama-family decoder written as ONNX graphs, straight from its weights.

An exporter names nodes by accident and hides inner states. Written by hand, a block is a score of nodes with stable
names, the outputs are the taps that are wanted, no block behind the last tap exists, and torch is not needed. The
decoder is cut at its taps into segments, a graph each: what goes out of one goes into the next, so a text can stop at a
tap or go on from there, and nothing is computed twice.

The mathematics is that of Llama (arXiv:2302.13971): pre-norm with RMSNorm (arXiv:1910.07467), rotary positions
(arXiv:2104.09864), grouped-query attention (arXiv:2305.13245), SwiGLU (arXiv:2002.05202). What is folded is exact:
the weights of a norm go into the matrix behind it, 1/sqrt(head size) into the query matrix; q, k, v are one matrix.

Batches are ragged by padding on the right: attention is causal, so no token sees what stands behind it, and no mask
for padding is needed. States at padding are to be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.architecture import Architecture, block_tensors
from alknet_firewall.detector.cache import cached_file
from alknet_firewall.detector.onnx_writer import Dimensions, GraphWriter
from alknet_firewall.detector.protocol import ModelSpec
from alknet_firewall.detector.rotation import fold, hadamard
from alknet_firewall.detector.weights import Weights
from alknet_firewall.errors import WeightsError

FloatArray = npt.NDArray[np.float32]

PRECISIONS = ("fp32", "int8")
INPUT, PAST, STATES, CARRY = "input", "past", "states", "carry"


def segments(taps: Sequence[int]) -> list[tuple[int, int]]:
    """Where a decoder is cut: the half-open ranges of 0-based blocks that end at the taps."""
    ends = sorted(taps)
    return list(zip([0, *ends], ends))


def keys_and_values(first: int, last: int) -> list[str]:
    """The outputs of a segment with a past that hold the keys and the values of its blocks, in the order of `past`."""
    return [f"block_{layer + 1}/attention/{part}" for layer in range(first, last) for part in ("k", "v")]


def build_graph(
    weights: Weights,
    first: int,
    last: int,
    *,
    precision: str = "fp32",
    max_length: int = 512,
    past: bool = False,
) -> bytes:
    """Writes the blocks `first` to `last - 1` (0-based), as the content of an ONNX file.

    The input is `input`, float32 (batch, length, hidden): the embedded tokens for `first` 0, else what the segment
    before put out as `carry`. Outputs are `states`, float32 (batch, length, hidden), the output of the last block, and
    `carry`, the same as the next segment wants it.

    With a past, texts go on where they stopped: the input holds the tokens that are new, and `past`, float32
    (2 * blocks, batch, key heads, length of the past, head size), the keys and values of those before, of each block
    its keys, turned to their positions, and its values. Those of the new tokens are outputs, too
    (`keys_and_values`), each (batch, key heads, length, head size).

    Args:
        weights: Of a decoder of the Llama family.
        first: Number of blocks that have run already.
        last: The tap: number of blocks that have run at the end.
        precision: `fp32`; or `int8`: weights per output channel and activations per token are rounded to 8 bits, after
            a rotation that takes the outliers out of them (`rotation.py`); sums are exact int32. Scales of their own
            for each token make a verdict independent of its batch.
        max_length: Longest sequence, in tokens, its past included.
        past: Whether there is one; it may have no tokens.

    Raises:
        WeightsError: The family is another, a tap is out of range, or a tensor is missing or misshapen.
    """
    shape = weights.architecture
    if shape.family != "llama":
        raise WeightsError(
            f"{weights.path}: {shape.family!r} cannot be written as a graph; use backend = 'torch'"
        )
    if shape.variations:
        raise WeightsError(
            f"{weights.path}: {', '.join(shape.variations)} cannot be written as a graph; use backend = 'torch'"
        )
    if not 0 <= first < last <= shape.n_layers:
        raise WeightsError(f"blocks {first + 1} to {last}: must lie in 1..{shape.n_layers}")
    graph = GraphWriter()
    segment = _Segment(graph, shape, precision, max_length, first if past else None)
    rows = segment.begin(turn=precision == "int8" and first == 0)
    for layer in range(first, last):
        rows = segment.block(layer, rows, _block_matrices(weights, layer))
    segment.end(rows)
    rows_of_tokens = ("batch", "length", shape.hidden_size)
    inputs: dict[str, Dimensions] = {INPUT: rows_of_tokens}
    outputs: dict[str, Dimensions] = {STATES: rows_of_tokens, CARRY: rows_of_tokens}
    if past:
        inputs[PAST] = (2 * (last - first), "batch", shape.n_kv_heads, "past_length", shape.head_size)
        own = ("batch", shape.n_kv_heads, "length", shape.head_size)
        outputs |= dict.fromkeys(keys_and_values(first, last), own)
    return graph.model(inputs, outputs)


_FORMAT = 4  # raise it whenever build_graph writes something else


def graph_file(spec: ModelSpec, first: int, last: int, precision: str, *, past: bool = False) -> Path | bytes:
    """A segment's graph: a file in the user's cache, or what would be in it where the cache cannot be written."""

    def build() -> bytes:
        return build_graph(
            spec.weights, first, last, precision=precision, max_length=spec.max_length, past=past
        )

    described = f"{_FORMAT} {spec.weights.file_digest} {first} {last} {precision} {spec.max_length} {past}"
    return cached_file("graphs", described, build, ".onnx")


def _block_matrices(weights: Weights, layer: int) -> dict[str, FloatArray]:
    """The matrices of a block, each (inputs, outputs), with norms and the attention scale folded in."""
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
        "gate": (gate * norm2).T,
        "up": (up * norm2).T,
        "down": down.T,
    }


class _Segment:
    """Writes a segment; holds what its blocks share: shapes, rotary tables, the causal mask.

    All but attention works on rows, one a token: (batch * length, width).
    """

    def __init__(
        self, graph: GraphWriter, shape: Architecture, precision: str, max_length: int, past_from: int | None
    ) -> None:
        """Takes what all blocks have in common; `past_from` is the first block of `past`, None if there is no past."""
        self.graph, self.shape, self.precision, self.past_from = graph, shape, precision, past_from
        constant, add = graph.constant, graph.add
        size = add("Shape", [INPUT], "length", start=1, end=2)  # (1,)
        batch_and_length = add("Shape", [INPUT], "batch_and_length", start=0, end=2)  # (2,)
        zero, rest = constant("zero", np.array([0])), constant("rest", np.array([-1]))
        begin, end = zero, size  # positions of the tokens, (1,) each
        if past_from is not None:
            begin = add("Shape", [PAST], "past_length", start=3, end=4)
            end = add("Add", [begin, size], "end")
        # RoPE: position p turns the pair (i, i + half) of a head by p * theta^(-i / half).
        half = shape.head_size // 2
        angles = np.arange(max_length)[:, None] * shape.rope_theta ** (-np.arange(half) / half)
        for name, table in (("cosine", np.cos(angles)), ("sine", np.sin(angles))):
            constant(f"{name}_table", table.astype(np.float32))
            add("Slice", [f"{name}_table", begin, end], name)  # (length, half)
        blocked = np.triu(np.full((max_length, max_length), -1e9, np.float32), 1)
        corners = [
            add("Concat", pair, f"corner_{i}", axis=0) for i, pair in enumerate(([begin, zero], [end, end]))
        ]
        add("Slice", [constant("mask_table", blocked), *corners], "mask")  # (length, end)
        heads = constant("heads", np.array([shape.n_heads + 2 * shape.n_kv_heads, shape.head_size]))
        add("Concat", [batch_and_length, heads], "by_token", axis=0)
        add("Concat", [constant("by", np.array([0, shape.n_heads])), size, rest], "by_head", axis=0)
        add("Concat", [constant("groups", np.array([0, shape.n_kv_heads, -1])), end], "by_group", axis=0)
        wide = constant("wide", np.array([shape.hidden_size]))
        add("Concat", [batch_and_length, wide], "as_given", axis=0)

    def begin(self, turn: bool) -> str:
        """From the input to rows, rotated if `turn`."""
        rows = self._rows(INPUT, "rows", self.shape.hidden_size)
        if turn:
            rows = self._turn("turned", rows, self.shape.hidden_size)
        if self.precision == "int8":
            count = self.graph.add("Shape", [rows], "count", start=0, end=1)
            # Unsigned with 128 for zero: the form for which x86 has the fastest dot product (VNNI).
            middle = self.graph.constant("middle", np.array([128], np.uint8))
            self.graph.add("Expand", [middle, count], "zero_points")
        return rows

    def end(self, rows: str) -> None:
        """From rows to the outputs."""
        self.graph.add("Reshape", [rows, "as_given"], CARRY)
        if self.precision == "int8":
            rows = self._turn("turned_back", rows, self.shape.hidden_size)
        self.graph.add("Reshape", [rows, "as_given"], STATES)

    def block(self, layer: int, rows: str, matrices: dict[str, FloatArray]) -> str:
        """Adds the block with 0-based index `layer`."""
        if self.precision == "int8":
            matrices = fold(matrices, self.shape)
        name = f"block_{layer + 1}"
        attended = self._attention(f"{name}/attention", layer, self._norm(f"{name}/norm_1", rows), matrices)
        rows = self.graph.add("Add", [rows, attended], f"{name}/after_attention")
        expanded = self._mlp(f"{name}/mlp", self._norm(f"{name}/norm_2", rows), matrices)
        return self.graph.add("Add", [rows, expanded], f"{name}/output")

    def _norm(self, name: str, x: str) -> str:
        add, constant = self.graph.add, self.graph.constant
        power = add("Pow", [x, constant("two", np.float32(2))], f"{name}/square")
        mean = add("ReduceMean", [power], f"{name}/mean", axes=[-1], keepdims=1)
        shifted = add("Add", [mean, constant("eps", np.float32(self.shape.norm_eps))], f"{name}/shifted")
        normed = add("Div", [x, add("Sqrt", [shifted], f"{name}/root")], f"{name}/divided")
        # The weights are folded away; ones complete the pattern that runtimes know and fuse.
        ones = constant("ones", np.ones(self.shape.hidden_size, np.float32))
        return add("Mul", [normed, ones], name)

    def _attention(self, name: str, layer: int, x: str, matrices: dict[str, FloatArray]) -> str:
        add, split, constant, shape = self.graph.add, self.graph.split, self.graph.constant, self.shape
        heads, kv, size = shape.n_heads, shape.n_kv_heads, shape.head_size
        [qkv] = self._products(x, f"{name}/qkv_in", {f"{name}/qkv": matrices["qkv"]})
        per_head = add("Reshape", [qkv, "by_token"], f"{name}/heads")
        turned = add("Transpose", [per_head], f"{name}/turned", perm=[0, 2, 1, 3])
        turning = constant("turning", np.array([heads + kv, kv]))
        qk, v = split("Split", [turned, turning], [f"{name}/qk", f"{name}/v"], axis=1)
        qk = self._rotate(f"{name}/rope", qk)  # (batch, heads + kv, length, size)
        q, k = split(
            "Split", [qk, constant("q_k", np.array([heads, kv]))], [f"{name}/q", f"{name}/k"], axis=1
        )
        k, v = self._with_past(layer, k, v)
        # The query heads that share a key head become one tall matrix: no key is repeated.
        q = add("Reshape", [q, constant("stacked", np.array([0, kv, -1, size]))], f"{name}/q_stacked")
        k_turned = add("Transpose", [k], f"{name}/k_turned", perm=[0, 1, 3, 2])
        scores = add("MatMul", [q, k_turned], f"{name}/scores")
        scores = add("Reshape", [scores, "by_head"], f"{name}/scores_by_head")
        share = add("Softmax", [add("Add", [scores, "mask"], f"{name}/masked")], f"{name}/share", axis=-1)
        share = add("Reshape", [share, "by_group"], f"{name}/share_stacked")
        mixed = add("MatMul", [share, v], f"{name}/mixed")
        mixed = add("Reshape", [mixed, "by_head"], f"{name}/mixed_by_head")
        mixed = add("Transpose", [mixed], f"{name}/mixed_turned", perm=[0, 2, 1, 3])
        joined = self._rows(mixed, f"{name}/joined", heads * size)
        return self._products(joined, f"{name}/out_in", {f"{name}/out": matrices["out"]})[0]

    def _with_past(self, layer: int, k: str, v: str) -> tuple[str, str]:
        if self.past_from is None:
            return k, v
        add, place = self.graph.add, 2 * (layer - self.past_from)
        whole = []
        for at, own in ((place, k), (place + 1, v)):
            past = add(
                "Gather", [PAST, self.graph.constant(f"place_{at}", np.int64(at))], f"{own}_past", axis=0
            )
            whole.append(add("Concat", [past, own], f"{own}_whole", axis=2))
        return whole[0], whole[1]

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
        inner = {f"{name}/{part}": matrices[part] for part in ("gate", "up")}
        gate, up = self._products(x, f"{name}/in", inner)
        silu = add("Mul", [gate, add("Sigmoid", [gate], f"{name}/sigmoid")], f"{name}/silu")
        gated = add("Mul", [silu, up], f"{name}/gated")
        if self.precision == "int8":
            gated = self._turn(f"{name}/gated_turned", gated, self.shape.mlp_size)
        return self._products(gated, f"{name}/down_in", {f"{name}/down": matrices["down"]})[0]

    def _products(self, x: str, name: str, matrices: dict[str, FloatArray]) -> list[str]:
        """Multiplies rows with some matrices; in int8 the rows are rounded once, under `name`."""
        add, constant = self.graph.add, self.graph.constant
        if self.precision == "fp32":
            return [add("MatMul", [x, constant(f"{n}/weights", m)], n) for n, m in matrices.items()]
        largest = add("ReduceMax", [add("Abs", [x], f"{name}/abs")], f"{name}/largest", axes=[-1], keepdims=1)
        scale = add("Mul", [largest, constant("1/127", np.float32(1 / 127))], f"{name}/steps")
        scale = add("Max", [scale, constant("tiny", np.float32(1e-12))], f"{name}/scale")  # (rows, 1)
        flat = add("Reshape", [scale, "rest"], f"{name}/scales")
        levels = add("QuantizeLinear", [x, flat, "zero_points"], f"{name}/levels", axis=0)
        zero_point = constant("zero_point", np.uint8(128))
        products = []
        for own, matrix in matrices.items():
            steps = (np.maximum(np.abs(matrix).max(axis=0), 1e-12) / 127).astype(
                np.float32
            )  # an output channel
            rounded = constant(f"{own}/weights", np.rint(matrix / steps).astype(np.int8))
            sums = add("MatMulInteger", [levels, rounded, zero_point], f"{own}/sums")
            back = add("Mul", [scale, constant(f"{own}/steps", steps)], f"{own}/back")
            products.append(add("Mul", [self.graph.to_float(sums, f"{own}/float"), back], own))
        return products

    def _rows(self, x: str, name: str, width: int) -> str:
        return self.graph.add(
            "Reshape", [x, self.graph.constant(f"rows_of_{width}", np.array([-1, width]))], name
        )

    def _turn(self, name: str, rows: str, width: int) -> str:
        """Rotates rows by Hadamard matrices along the diagonal; twice is the identity."""
        add, constant, matrix = self.graph.add, self.graph.constant, hadamard(width)
        size = len(matrix)
        cut = constant(f"blocks_of_{size}_in_{width}", np.array([-1, width // size, size]))
        blocks = add("Reshape", [rows, cut], f"{name}/blocks")
        blocks = add("MatMul", [blocks, constant(f"hadamard_{size}", matrix)], f"{name}/by_block")
        return self._rows(blocks, name, width)
