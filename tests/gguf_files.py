"""Small GGUF files, made by hand."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from alknet_firewall.detector.graph import build_graph
from alknet_firewall.detector.tokenizer import load_tokenizer
from alknet_firewall.detector.weights import GgufWeights

Tensor = tuple[tuple[int, ...], int, bytes]  # shape, slowest dimension first; element type; data
F32, F16, Q4_0, Q4_1, Q8_0, BF16 = 0, 1, 2, 3, 8, 30


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(item: Any) -> bytes:
    if isinstance(item, str):
        return struct.pack("<I", 8) + string(item)
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    kind = 8 if isinstance(item[0], str) else 5
    packed = b"".join(string(i) if kind == 8 else struct.pack("<i", i) for i in item)
    return struct.pack("<IIQ", 9, kind, len(item)) + packed


def gguf(metadata: dict[str, Any], tensors: dict[str, Tensor], version: int = 3) -> bytes:
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, item in metadata.items():
        header += string(key) + value(item)
    data = b""
    for name, (shape, kind, raw) in tensors.items():
        dimensions = struct.pack(f"<{len(shape)}Q", *reversed(shape))
        header += (
            string(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", kind, len(data))
        )
        data += raw + bytes(-len(raw) % 32)
    return header + bytes(-len(header) % 32) + data


def tiny_llama() -> bytes:
    """One block, hidden size 8, two heads and one key head of 4, and a byte-level tokenizer of six tokens."""
    tokens = ["<|im_start|>", "<|im_end|>", "a", "b", "ab", "u"]
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 8,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "llama.feed_forward_length": 8,
        "llama.rope.freq_base": 10000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3, 1, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b"],
    }
    shapes = {"attn_norm": (8,), "attn_q": (8, 8), "attn_k": (4, 8), "attn_v": (4, 8), "attn_output": (8, 8)}
    shapes |= {"ffn_norm": (8,), "ffn_gate": (8, 8), "ffn_up": (8, 8), "ffn_down": (8, 8)}
    named = {"token_embd.weight": (6, 8), **{f"blk.0.{name}.weight": shape for name, shape in shapes.items()}}
    rng = np.random.default_rng(0)
    tensors = {n: (s, F32, rng.normal(size=s).astype(np.float32).tobytes()) for n, s in named.items()}
    return gguf(metadata, tensors)


def use_all(path: Path) -> None:
    """Everything that a detector does with a GGUF file."""
    weights = GgufWeights(path)
    load_tokenizer(weights).encode("ab<|im_end|>")
    weights.digest(1)
    build_graph(weights, 0, 1, max_length=8)
    weights.embedded(np.array([[0, 5]]))
