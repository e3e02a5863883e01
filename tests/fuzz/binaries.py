"""Targets: files of tensors (codebook, GGUF, folders of weights, sparse autoencoders) and the cache of graphs."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from alknet_firewall.codebook.codebook import parse_codebook
from alknet_firewall.codebook.seal import opened, packed
from alknet_firewall.detector.cache import cached_file
from alknet_firewall.detector.graph import build_graph
from alknet_firewall.detector.tokenizer import load_tokenizer
from alknet_firewall.detector.weights import GgufWeights, open_weights
from alknet_firewall.errors import AlknetFirewallError, CodebookError, WeightsError
from alknet_firewall.sae import SAE, SAEConfig, SAEError
from alknet_firewall.verdict import CHANNELS
from tests import tiny
from tests.fuzz.mutate import mutated, mutated_json, odd_value
from tests.fuzz.target import Factory, Finding, Target
from tests.gguf_files import tiny_llama

_LONGEST_MESSAGE = 1000


def refused(error: AlknetFirewallError) -> None:
    """Checks a refusal: short, and nothing in it that a terminal obeys."""
    message = str(error)
    if len(message) > _LONGEST_MESSAGE or not message.replace("\n", " ").isprintable():
        raise Finding(f"a message that must not be shown: {message[:2000]!r}")


def scratch() -> Path:
    """A folder in memory where there is one."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="alknet-fuzz-", dir=memory if memory.is_dir() else None))


def codebook() -> Target:
    """A codebook: bytes as they come, and documents and tensors under a checksum that is right."""
    folder = scratch()
    made = tiny.make_codebook(tiny.load(tiny.write_weights(folder)), words=16)
    shutil.rmtree(folder)
    content = made.to_bytes()
    seal, tensors = opened(content), load(content)
    # The fewest numbers that make tables: inputs are copied and hashed a million times.
    for name in list(tensors):
        if name.endswith((".log_odds", ".log_rates")):
            tensors[name] = np.ascontiguousarray(tensors[name][::40])
    content = packed(tensors, seal.metadata)
    parse_codebook(content, "the seed")

    def make(generator: random.Random, number: int) -> bytes:
        if number % 4 == 0:
            return mutated(generator, content)
        metadata, own = seal.metadata, dict(tensors)
        if generator.random() < 0.7:
            metadata = mutated_json(generator, metadata)
        if generator.random() < 0.5:
            _change_tensor(generator, own)
        try:
            return packed(own, metadata if isinstance(metadata, dict) else {"format": metadata})
        except (ValueError, RecursionError, OverflowError):
            return mutated(generator, content)

    return Target("codebook", make, _use_codebook)


def _use_codebook(content: bytes) -> None:
    try:
        book = parse_codebook(content, "the file")
    except CodebookError as error:
        refused(error)
        return
    for behavior in book.behaviors.values():
        columns = behavior.benign.knots.shape[0]
        if not np.isfinite(behavior.log_ratios(np.zeros((1, columns)))).all():
            raise Finding(f"behavior {behavior.name!r} gives no finite ratio")
        for channel in CHANNELS:
            rate = behavior.false_alarm_rate(0.5, channel, 3)
            if not 0 < rate <= 1:
                raise Finding(f"a false-alarm rate of {rate}")
    again = book.to_bytes()
    if parse_codebook(again, "written again").to_bytes() != again:
        raise Finding("what was read cannot be written again")


def _change_tensor(generator: random.Random, tensors: dict[str, Any]) -> None:
    name = generator.choice(sorted(tensors))
    kind, array = generator.randrange(7), tensors[name]
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[f"{name}x"] = tensors.pop(name)
    elif kind == 2:
        tensors[name] = array.astype(generator.choice(("f2", "f4", "f8", "i1", "i4", "u8", "?")))
    elif kind == 3:
        tensors[name] = np.ascontiguousarray(array.reshape(generator.choice(((-1,), (1, -1), (-1, 1)))))
    elif kind == 4:
        tensors[name] = np.ascontiguousarray(array[: generator.randrange(len(array) + 1)])
    elif kind == 5:
        tensors[name] = np.ascontiguousarray(np.concatenate([array, array]))
    else:
        changed = array.copy()
        odd = (0, -1, 1) if changed.dtype.kind in "iu" else (np.nan, np.inf, -np.inf, 0, -1, 1e300, 6e4, 1e-300)
        with np.errstate(all="ignore"):
            changed.flat[generator.randrange(max(changed.size, 1))] = np.array(generator.choice(odd)).astype(changed.dtype)
        tensors[name] = changed


def gguf() -> Target:
    """A GGUF file with a tokenizer, used for all that a detector does with one."""
    folder, seed = scratch(), tiny_llama()
    header = seed.index(b"ffn_up.weight") + 100
    ids = np.array([[0, 5]])

    def make(generator: random.Random, number: int) -> bytes:
        if number % 4 == 0:
            return mutated(generator, seed)
        return mutated(generator, seed[:header], [seed[:header]]) + seed[header:]

    def run(content: bytes) -> None:
        path = folder / "model.gguf"
        path.write_bytes(content)
        try:
            weights = GgufWeights(path)
            load_tokenizer(weights).encode("ab<|im_end|>")
            weights.digest(1)
            build_graph(weights, 0, 1, max_length=8)
            weights.embedded(ids)
        except WeightsError as error:
            refused(error)

    return Target("gguf", make, run, close=lambda: shutil.rmtree(folder))


def weights_folder() -> Target:
    """A folder with config.json, safetensors (with bfloat16) and tokenizer.json."""
    folder = scratch()
    tiny.write_weights(folder)
    names = ("config.json", "model.safetensors", "tokenizer.json")
    parts = {name: (folder / name).read_bytes() for name in names}
    parts["model.safetensors"] = _with_bfloat16(parts["model.safetensors"])
    documents = {name: json.loads(parts[name]) for name in names if name.endswith(".json")}
    ids = np.array([[0, 5]])

    def make(generator: random.Random, number: int) -> bytes:
        own = dict(parts)
        name = generator.choices(names, (4, 4, 1))[0]
        if name.endswith(".json") and generator.random() < 0.7:
            own[name] = _json(mutated_json(generator, documents[name]))
        elif name.endswith(".json"):
            own[name] = mutated(generator, own[name])
        else:
            own[name] = _mutated_safetensors(generator, own[name])
        return joined(own)

    def run(content: bytes) -> None:
        for name, part in parted(content, names).items():
            (folder / name).write_bytes(part)
        try:
            weights = open_weights(str(folder))
            weights.digest(1)
            weights.embedded(ids)
            load_tokenizer(weights).encode("ab<|im_end|>")
            build_graph(weights, 0, 1, max_length=8)
        except WeightsError as error:
            refused(error)

    return Target("weights_folder", make, run, close=lambda: shutil.rmtree(folder))


def sae() -> Target:
    """A folder of a sparse autoencoder, and codes of states by it."""
    folder = scratch()
    generator = np.random.default_rng(0)
    config = SAEConfig("jumprelu", 4, 6, hook_name="model.layers.1")
    weights = {
        "W_enc": generator.normal(size=(4, 6)), "W_dec": generator.normal(size=(6, 4)), "b_dec": np.zeros(4),
        "b_enc": np.zeros(6), "threshold": np.full(6, 0.1),
    }  # fmt: skip
    SAE(config, {name: value.astype(np.float32) for name, value in weights.items()}).save(folder)
    names = ("cfg.json", "sae_weights.safetensors")
    parts = {name: (folder / name).read_bytes() for name in names}
    settings = json.loads(parts["cfg.json"])

    def make(generator: random.Random, number: int) -> bytes:
        own = dict(parts)
        if number % 3 == 0:
            own["cfg.json"] = mutated(generator, own["cfg.json"])
        elif number % 3 == 1:
            changed = mutated_json(generator, settings)
            if isinstance(changed, dict) and generator.random() < 0.5:
                changed["architecture"] = generator.choice(("standard", "topk", "jumprelu", "gated"))
                changed["k"] = generator.choice((1, 3, odd_value(generator)))
            own["cfg.json"] = _json(changed)
        else:
            own["sae_weights.safetensors"] = _mutated_safetensors(generator, own["sae_weights.safetensors"])
        return joined(own)

    def run(content: bytes) -> None:
        for name, part in parted(content, names).items():
            (folder / name).write_bytes(part)
        try:
            found = SAE.load(folder)
        except SAEError as error:
            refused(error)
            return
        with np.errstate(all="ignore"):
            codes = found.encode(np.ones((2, found.config.d_in), np.float32))
        if codes.shape != (2, found.config.d_sae):
            raise Finding(f"codes of shape {codes.shape}")

    return Target("sae", make, run, close=lambda: shutil.rmtree(folder))


def graph_cache() -> Target:
    """A note and a file in the cache: what comes back is what is made, whatever lies there."""
    folder = scratch()
    content = random.Random(0).randbytes(200)
    os.environ["ALKNET_FIREWALL_CACHE"] = str(folder)
    path = cached_file("graphs", "one", lambda: content, ".onnx")
    assert isinstance(path, Path)
    [note] = [each for each in path.parent.iterdir() if each != path]
    parts = {"note": note.read_bytes(), "file": content}

    def make(generator: random.Random, number: int) -> bytes:
        own = dict(parts)
        for name in own:
            if generator.random() < 0.6:
                own[name] = mutated(generator, own[name], [content])
        return joined(own)

    def run(given: bytes) -> None:
        own = parted(given, ("note", "file"))
        note.write_bytes(own["note"])
        path.write_bytes(own["file"])
        found = cached_file("graphs", "one", lambda: content, ".onnx")
        if (found if isinstance(found, bytes) else found.read_bytes()) != content:
            raise Finding("the cache gave something else")

    return Target("graph_cache", make, run, close=lambda: shutil.rmtree(folder))


def joined(parts: Mapping[str, bytes]) -> bytes:
    """Several files as one input."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts.values())


def parted(content: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """The files of an input of `joined`."""
    found, place = {}, 0
    for name in names:
        (length,) = struct.unpack_from("<I", content, place)
        found[name] = content[place + 4 : place + 4 + length]
        place += 4 + length
    return found


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value).encode("utf-8", "replace")
    except RecursionError:
        return b"[" * 5000


def _with_bfloat16(content: bytes) -> bytes:
    """The same file with its embedding in bfloat16, which numpy cannot write."""
    tensors = load(content)
    name = min(tensors)
    tensors[name] = (tensors[name].view(np.uint32) >> 16).astype(np.uint16)
    changed = save(tensors)
    length = int.from_bytes(changed[:8], "little")
    header = changed[8 : 8 + length].replace(b'"U16"', b'"BF16"').rstrip(b" ")
    return len(header).to_bytes(8, "little") + header + changed[8 + length :]


def _mutated_safetensors(generator: random.Random, content: bytes) -> bytes:
    """Changes bytes, or the header as JSON with a length that is right again."""
    if generator.random() < 0.4:
        return mutated(generator, content)
    length = int.from_bytes(content[:8], "little")
    described = content[8 : 8 + length]
    header = _json(mutated_json(generator, json.loads(described)))
    if generator.random() < 0.2:
        header = described.replace(b"}}", b"}," + described[1:40].split(b"}")[0] + b"}}", 1)  # a tensor twice
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


Build = Callable[[], Target]

FACTORIES: dict[str, tuple[Factory, float]] = {
    "codebook": (codebook, 2.0),
    "gguf": (gguf, 1.5),
    "weights_folder": (weights_folder, 0.3),
    "sae": (sae, 2.0),
    "graph_cache": (graph_cache, 1.0),
}
