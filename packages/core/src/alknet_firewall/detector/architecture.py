"""The shape of a Llama-family decoder, and the canonical names of its tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alknet_firewall.errors import WeightsError
from alknet_firewall.files import printable

EMBEDDING = "model.embed_tokens.weight"
_LARGEST = {
    "n_layers": 1 << 12,
    "hidden_size": 1 << 18,
    "n_heads": 1 << 12,
    "n_kv_heads": 1 << 12,
    "head_size": 1 << 12,
    "mlp_size": 1 << 20,
    "vocabulary": 1 << 24,
}
_LEAST = {"mlp_size": 0}
_LONGEST_NAME = 64


def block_tensors(layer: int) -> tuple[str, ...]:
    """The canonical (Hugging Face) tensor names of the block with 0-based index `layer`."""
    names = (
        "input_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "post_attention_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    )
    return tuple(f"model.layers.{layer}.{name}.weight" for name in names)


@dataclass(frozen=True, slots=True)
class Architecture:
    """What `config.json` or GGUF metadata say of a decoder.

    Attributes:
        family: `llama`, or whatever `model_type` says; only Llama's mathematics can be written as a graph, the
            torch backend runs others.
        n_layers: Number of blocks.
        hidden_size: Width of the residual stream.
        n_heads: Query heads.
        n_kv_heads: Key and value heads; `n_heads` is a multiple of it.
        head_size: Width of one head.
        mlp_size: Width of the feed-forward layer.
        vocabulary: Number of token ids.
        rope_theta: Base of the rotary position frequencies.
        norm_eps: Epsilon of RMSNorm.
        variations: What departs from plain Llama (scaled positions, biases, another activation), as `key=value`.
    """

    family: str
    n_layers: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    mlp_size: int
    vocabulary: int
    rope_theta: float
    norm_eps: float
    variations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses sizes that no decoder has: tables are allocated by them before any tensor is looked at."""
        for name, largest in _LARGEST.items():
            if not _LEAST.get(name, 1) <= getattr(self, name) <= largest:
                raise ValueError(f"{name} {getattr(self, name):.12g} (it lies in {_LEAST.get(name, 1)}..{largest})")
        if not (0 < self.rope_theta < math.inf and 0 < self.norm_eps < 1):
            raise ValueError(f"rope_theta {self.rope_theta} or norm_eps {self.norm_eps}")
        if self.n_heads % self.n_kv_heads or self.head_size % 2:
            raise ValueError(f"{self.n_heads} heads, {self.n_kv_heads} of keys, of size {self.head_size}")
        if not self.family.isprintable() or len(self.family) > _LONGEST_NAME:
            raise ValueError("the name of its family")

    def mathematics(self) -> list[str]:
        """What decides the states besides the tensors; numbers as float32, as one door stores them."""
        floats = [f"{np.float32(value):.9g}" for value in (self.rope_theta, self.norm_eps)]
        return [self.family, str(self.n_heads), str(self.n_kv_heads), str(self.head_size), *floats, *self.variations]

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], where: str) -> Architecture:
        """Reads GGUF metadata.

        Raises:
            WeightsError: A key is missing or of the wrong type; `where` names the file.
        """
        try:
            family = metadata["general.architecture"]

            def key(name: str) -> Any:
                return metadata[f"{family}.{name}"]

            n_heads, hidden = int(key("attention.head_count")), int(key("embedding_length"))
            return cls(
                family=family,
                n_layers=int(key("block_count")),
                hidden_size=hidden,
                n_heads=n_heads,
                n_kv_heads=int(metadata.get(f"{family}.attention.head_count_kv", n_heads)),
                head_size=int(metadata.get(f"{family}.rope.dimension_count", hidden // n_heads)),
                mlp_size=int(key("feed_forward_length")),
                vocabulary=len(metadata["tokenizer.ggml.tokens"]),
                rope_theta=float(metadata.get(f"{family}.rope.freq_base", 10_000.0)),
                norm_eps=float(key("attention.layer_norm_rms_epsilon")),
                variations=tuple(
                    f"{name}={value}"
                    for name, value in sorted(metadata.items())
                    if name.startswith(f"{family}.rope.scaling.") and value not in ("none", None)
                ),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise WeightsError(f"{where}: GGUF metadata lacks or garbles {printable(str(error))}") from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> Architecture:
        """Reads the fields of a Hugging Face `config.json`; families other than Llama may lack some (then 0).

        Raises:
            WeightsError: A needed key is missing or of the wrong type; `where` names the file.
        """
        try:
            hidden = int(config.get("hidden_size") or config["n_embd"])
            n_heads = int(config.get("num_attention_heads") or config["n_head"])
            rope = config.get("rope_parameters") or {}
            return cls(
                family=str(config.get("model_type", "unknown")),
                n_layers=int(config.get("num_hidden_layers") or config["n_layer"]),
                hidden_size=hidden,
                n_heads=n_heads,
                n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
                head_size=int(config.get("head_dim") or hidden // n_heads),
                mlp_size=int(config.get("intermediate_size") or 0),
                vocabulary=int(config["vocab_size"]),
                rope_theta=float(config.get("rope_theta") or rope.get("rope_theta") or 10_000.0),
                norm_eps=float(config.get("rms_norm_eps") or config.get("layer_norm_epsilon") or 1e-5),
                variations=_variations(config, rope),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise WeightsError(f"{where}: lacks or garbles {printable(str(error))}") from error


def _variations(config: Mapping[str, Any], rope: Mapping[str, Any]) -> tuple[str, ...]:
    scaling = config.get("rope_scaling") or (rope if rope.get("rope_type", "default") != "default" else None)
    plain = {"rope_scaling": None, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
    found = {name: config.get(name, usual) for name, usual in plain.items()} | {"rope_scaling": scaling}
    return tuple(
        f"{name}={json.dumps(found[name], sort_keys=True)}"
        for name, usual in sorted(plain.items())
        if found[name] not in (usual, None)
    )
