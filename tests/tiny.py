"""A tiny detector and a codebook for it, made on the spot: quick to load and to run, for whatever needs no real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import decoders, models, pre_tokenizers

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook, Window
from alknet_firewall.codebook.lexical import folded_ids, ngram_buckets
from alknet_firewall.codebook.model import CodebookBehavior, Coordinates, Lexicon
from alknet_firewall.codebook.readout import ATTENTION, BUILT_IN
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.detector.architecture import EMBEDDING, block_tensors
from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.plugins import load_plugins
from alknet_firewall.verdict import CHANNELS

HIDDEN_SIZE = 32


def write_weights(path: Path) -> Path:
    """Writes a random Llama of three blocks, with a tokenizer of a token a byte, into a folder; without torch."""
    rng = np.random.default_rng(0)
    hidden, heads, groups, size, mlp, blocks = HIDDEN_SIZE, 4, 2, 8, 48, 3
    vocabulary = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    shapes = [
        hidden,
        (heads * size, hidden),
        (groups * size, hidden),
        (groups * size, hidden),
        (hidden, heads * size),
    ]
    shapes += [hidden, (mlp, hidden), (mlp, hidden), (hidden, mlp)]
    tensors = {EMBEDDING: rng.normal(size=(len(vocabulary), hidden))}
    for layer in range(blocks):
        for name, shape in zip(block_tensors(layer), shapes):
            tensors[name] = rng.normal(1 if shape == hidden else 0, 0.2, shape)
    save_file(
        {name: tensor.astype(np.float32) for name, tensor in tensors.items()}, path / "model.safetensors"
    )
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden, "num_attention_heads": heads,
        "num_key_value_heads": groups, "head_dim": size, "num_hidden_layers": blocks, "intermediate_size": mlp,
        "vocab_size": len(vocabulary), "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    (path / "config.json").write_text(json.dumps(config))
    tokenizer = HfTokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(path / "tokenizer.json"))
    return path


def write_firewall(folder: Path, **changes: Any) -> dict[str, str]:
    """Writes weights and a codebook; what they are called in the settings of a firewall.

    Args:
        folder: Made if it is missing.
        changes: As of `make_codebook`.
    """
    weights, codebook = folder / "weights", folder / "codebook.safetensors"
    weights.mkdir(parents=True)
    write_weights(weights)
    codebook.write_bytes(make_codebook(load(weights), **changes).to_bytes())
    return {"weights": str(weights), "codebook": str(codebook), "backend": "onnxruntime"}


def load(weights: Path) -> Detector:
    """The tiny detector; it reads taps 1 and 2 in fp32."""
    return load_detector(
        open_weights(str(weights)),
        (1, 2),
        load_plugins([]).backends,
        backend="onnxruntime",
        precision="fp32",
        max_length=128,
    )


def make_codebook(detector: Detector, /, *, letter: str = "z", words: int = 512, **changes: Any) -> Codebook:
    """A small random codebook for the tiny detector; arguments replace attributes of it.

    Two behaviors, `injection` and `jailbreak`, in one group; each has an attention head at tap 1, the template's end
    at tap 2, and words, which decide: a text with many of one letter is an attack.

    Args:
        detector: As of `load`.
        letter: That one.
        words: Buckets of words: with few, other letters fall into its bucket by chance.
        changes: Attributes of the codebook.
    """
    folded = folded_ids(detector.tokenizer.vocabulary)
    lexicon = Lexicon(folded, np.ones(words, np.float32))
    ids = folded[detector.tokenizer.encode(letter).ids]
    buckets = np.concatenate(ngram_buckets(np.repeat(ids, 2), words))
    fields: dict[str, Any] = {
        "fingerprint": detector.fingerprint,
        "detector": "a tiny random Llama",
        "taps": (1, 2),
        "precisions": ("fp32",),
        "window": Window(48, 16),
        "behaviors": {
            "injection": _behavior("injection", 1, lexicon, buckets),
            "jailbreak": _behavior("jailbreak", 2, lexicon, buckets[:0]),
        },
        "combined": {channel: _table(i) for i, channel in enumerate(CHANNELS)},
        "group": ("injection", "jailbreak"),
        "provenance": {"sources": {"made by hand": 1}, "seed": 0},
    }
    return Codebook(**{**fields, **changes})


def _behavior(name: str, seed: int, lexicon: Lexicon, buckets: npt.NDArray[np.int64]) -> CodebookBehavior:
    rng = np.random.default_rng(seed)
    directions, queries = rng.normal(size=(2, 2, HIDDEN_SIZE)).astype(np.float32) * 0.1
    queries[1] = 0
    words = np.zeros(len(lexicon.rarity), np.float32)
    words[buckets] = 8
    coordinates = Coordinates(
        np.array([1, 2], np.int32),
        (ATTENTION, "template_end"),
        queries,
        directions,
        np.zeros(2, np.float32),
    )
    knots = np.tile(np.linspace(-2.0, 2.0, 5), (3, 1))
    return CodebookBehavior(
        name=name,
        default_action="block",
        coordinates=coordinates,
        benign=Splines.through(knots, -((knots + 0.5) ** 2)),
        attack=Splines.through(knots, -((knots - 0.5) ** 2)),
        weights=np.array([[0.1, 0.1, 1]], np.float32),
        biases=np.array([-2.0]),
        tables={channel: _table(seed + i) for i, channel in enumerate(CHANNELS)},
        lexicon=lexicon,
        word_weights=words,
        readouts=BUILT_IN,
        stretch=16,
    )


def _table(seed: int) -> RateTable:
    return RateTable.fit(np.random.default_rng(seed).normal(-2, 0.5, 2000))
