"""States of texts to a file and back, and the texts in which a feature is active."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from alknet_firewall.detector.cache import write_atomically
from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.errors import DataError
from alknet_firewall.plugins import load_plugins
from alknet_firewall.sae.config import SAEError
from alknet_firewall.sae.sae import SAE
from alknet_firewall.sae.states import residual_states

FloatArray = npt.NDArray[np.float32]

_METADATA_KEY = "alknet_firewall_states"
_AROUND = 60  # characters that are shown on each side of a token
_CONTEXT = 512  # tokens of a text that are read where nobody says


@dataclass(frozen=True)
class Written:
    """What was written: texts and tokens, how many texts were cut, and how many had no token."""

    texts: int
    tokens: int
    cut: int
    empty: int


def parse_layers(told: str) -> tuple[int, ...]:
    """Reads `3,4,5`.

    Raises:
        DataError: It is not a list of numbers from 0.
    """
    parts = told.split(",")
    if not all(part.strip().isdecimal() and len(part.strip()) < 5 for part in parts):
        raise DataError(f"layers {told!r}: expected numbers from 0 with commas between them, as in 3,4,5")
    return tuple(sorted({int(part) for part in parts}))


def open_layers(
    layers: Sequence[int], weights: str | None, *, backend: str, precision: str, threads: int | None, longest: int
) -> Detector:
    """A detector that reads `layers`, counted from 0.

    Raises:
        SAEError: The model has no such layer.
        AlknetFirewallError: Weights or backend cannot be loaded.
    """
    source = open_weights(weights)
    blocks = source.architecture.n_layers
    if max(layers) >= blocks:
        raise SAEError(f"layer {max(layers)} is past the model: it has {blocks} blocks, 0 to {blocks - 1}")
    taps = tuple(layer + 1 for layer in layers)
    return load_detector(
        source, taps, load_plugins().backends, backend=backend, precision=precision, threads=threads,
        max_length=longest + 64,
    )  # fmt: skip


def export_states(
    detector: Detector,
    texts: Sequence[str],
    out: Path,
    *,
    tokens: str,
    longest: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Written:
    """Writes the states of texts.

    Args:
        detector: Its taps are written.
        texts: At least one with a token.
        out: The file.
        tokens: `last`, `mean` or `all`.
        longest: Tokens of a text that are read.
        progress: Called with the share that is done.

    Raises:
        DataError: No text has a token, or the file cannot be written.
    """
    encoded = [detector.tokenizer.encode(text).ids for text in texts]
    kept = [ids[:longest] for ids in encoded if len(ids)]
    if not kept:
        raise DataError("none of the texts has a token")
    found: dict[int, list[FloatArray]] = {tap: [np.empty(0, np.float32)] * len(kept) for tap in detector.taps}
    for done, (number, states) in enumerate(residual_states(detector, kept), 1):
        for tap, own in states.items():
            found[tap][number] = {"last": own[-1:], "mean": own.mean(0, keepdims=True)}.get(tokens, own).copy()
        progress(done / len(kept))
    lengths = [len(ids) for ids in kept]
    tensors: dict[str, npt.NDArray[np.generic]] = {
        f"layer.{tap - 1}": np.concatenate(own) for tap, own in found.items()
    }
    if tokens == "all":
        tensors |= {"start": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), "ids": np.concatenate(kept)}
    template = detector.tokenizer.template
    told = {
        "detector": detector.fingerprint, "layers": [tap - 1 for tap in detector.taps], "tokens": tokens,
        "prefix": list(template.prefix), "suffix": list(template.suffix), "precision": detector.model.precision,
    }  # fmt: skip
    try:
        write_atomically(out, save(tensors, {_METADATA_KEY: json.dumps(told)}))
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    cut = sum(len(ids) > longest for ids in encoded)
    return Written(len(kept), sum(lengths), cut, len(encoded) - len(kept))


def read_states(path: Path, layer: int, most: int, seed: int = 0) -> FloatArray:
    """States of a layer, counted from 0, from what `export_states` wrote; `most` of them, drawn, (n, hidden).

    Raises:
        DataError: The file is missing, damaged, or has no such layer.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            name = f"layer.{layer}"
            if name not in file.keys():  # noqa: SIM118
                raise DataError(f"{path}: has no {name!r}; it holds {', '.join(sorted(file.keys()))}")
            states = np.asarray(file.get_tensor(name), np.float32)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cannot be read, or holds no states ({error})") from error
    if states.ndim != 2 or not np.isfinite(states).all():
        raise DataError(f"{path}: {name!r} are no finite states of shape (n, hidden)")
    return _drawn(states, most, seed)


def gather_states(
    texts: Sequence[str],
    layer: int,
    most: int,
    weights: str | None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> FloatArray:
    """States of all tokens of texts at a layer, counted from 0; texts in a drawn order until there are `most`.

    Raises:
        DataError: No text has a token.
        AlknetFirewallError: The detector cannot be loaded, or has no such layer.
    """
    detector = open_layers(
        (layer,), weights, backend=backend, precision="fp32", threads=threads, longest=_CONTEXT
    )
    order = np.random.default_rng(0).permutation(len(texts)).tolist()
    chosen, count = [], 0
    for i in order:
        ids = detector.tokenizer.encode(texts[i]).ids[:_CONTEXT]
        if len(ids) and count < most:
            chosen.append(ids)
            count += len(ids)
    if not chosen:
        raise DataError("none of the texts has a token")
    found = []
    for _, states in residual_states(detector, chosen):
        found.append(states[layer + 1].copy())
        progress(len(found) / len(chosen))
    return _drawn(np.concatenate(found), most, 0)


def strongest_texts(
    sae: SAE, feature: int, texts: Sequence[str], count: int, weights: str | None
) -> list[tuple[float, str, str, str]]:
    """Texts in which a feature is most active: the activation, what stands before the token, the token, what follows.

    Raises:
        SAEError: There is no such feature, or the autoencoder is of another model.
    """
    if feature >= sae.config.d_sae:
        raise SAEError(f"feature {feature}: the autoencoder has {sae.config.d_sae}, 0 to {sae.config.d_sae - 1}")
    source = open_weights(weights)
    sae.config.check_model(source.architecture.hidden_size, source.architecture.n_layers)
    detector = open_layers(
        (sae.config.tap - 1,), weights, backend="auto", precision="fp32", threads=None, longest=_CONTEXT
    )
    encodings = [(text, detector.tokenizer.encode(text)) for text in texts]
    encodings = [(text, encoding) for text, encoding in encodings if len(encoding)]
    found = []
    for number, states in residual_states(detector, [encoding.ids[:_CONTEXT] for _, encoding in encodings]):
        active = sae.encode(states[sae.config.tap])[:, feature]
        place = int(active.argmax())
        if active[place] > 0:
            text, encoding = encodings[number]
            start, end = (int(value) for value in encoding.offsets[place])
            around = text[max(0, start - _AROUND) : start], text[start:end], text[end : end + _AROUND]
            found.append((float(active[place]), *around))
    return sorted(found, key=lambda one: -one[0])[:count]


def _drawn(states: FloatArray, most: int, seed: int) -> FloatArray:
    if len(states) <= most:
        return states
    return states[np.sort(np.random.default_rng(seed).permutation(len(states))[:most])]
