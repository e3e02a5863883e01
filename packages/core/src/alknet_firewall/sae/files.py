"""Folders in the form of SAELens: `cfg.json` and `sae_weights.safetensors`. Pickle is never read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from alknet_firewall.detector.cache import write_atomically
from alknet_firewall.files import printable, told
from alknet_firewall.sae.config import SAEConfig, SAEError, read_config
from alknet_firewall.tensor_files import read_bfloat16, read_header

FloatArray = npt.NDArray[np.float32]

CONFIG = "cfg.json"
WEIGHTS = "sae_weights.safetensors"

_PICKLED = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_LARGEST = 4 << 30  # bytes
_OPTIONAL = ("scaling_factor",)  # of SAELens 3 to 5: all ones, unless the file was finetuned


def read_sae(folder: Path) -> tuple[SAEConfig, dict[str, FloatArray]]:
    """Reads settings and tensors, and checks that they fit.

    Raises:
        SAEError: A file is missing, damaged, of another kind, or the tensors do not fit the settings.
    """
    if folder.suffix.lower() in _PICKLED:
        raise SAEError(f"{folder}: pickled files can run code and are never read; use {CONFIG} and {WEIGHTS}")
    if not folder.is_dir():
        raise SAEError(f"{folder}: no such folder (expected {CONFIG} and {WEIGHTS} in it)")
    config = read_config(folder / CONFIG)
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _PICKLED)
        told = f"; {pickled[0]} is pickled: it could run code and is never read" if pickled else ""
        raise SAEError(f"{path}: missing{told}")
    tensors = _tensors(path, tensor_shapes(config))
    if "scaling_factor" in tensors and not config.finetuned:
        if not np.allclose(tensors.pop("scaling_factor"), 1):
            raise SAEError(f"{path}: has a scaling_factor, but {CONFIG} says finetuning_scaling_factor = false")
    if config.finetuned and "scaling_factor" not in tensors:
        raise SAEError(f"{path}: lacks scaling_factor, which {CONFIG} asks for")
    return config, tensors


def write_sae(folder: Path, config: SAEConfig, weights: Mapping[str, FloatArray]) -> None:
    """Writes settings and tensors.

    Raises:
        SAEError: The folder cannot be written to, or a switch has no place in the form of SAELens 6.
    """
    if config.finetuned or config.activation != "relu":
        raise SAEError("finetuning factors and tanh-relu cannot be written in the form of SAELens 6")
    ordered = {name: np.ascontiguousarray(weights[name], np.float32) for name in tensor_shapes(config)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WEIGHTS, save(ordered))
        write_atomically(folder / CONFIG, json.dumps(config.to_dict(), indent=2).encode())
    except OSError as error:
        raise SAEError(f"{folder}: cannot be written ({error.strerror})") from error


def tensor_shapes(config: SAEConfig) -> dict[str, tuple[int, ...]]:
    """The tensors that an autoencoder needs, and their shapes."""
    d_in, d_sae = config.d_in, config.d_sae
    shapes: dict[str, tuple[int, ...]] = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    further = {"gated": ("b_gate", "b_mag", "r_mag"), "jumprelu": ("b_enc", "threshold")}
    return shapes | dict.fromkeys(further.get(config.architecture, ("b_enc",)), (d_sae,))


def _tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, FloatArray]:
    found: dict[str, FloatArray] = {}
    try:
        if path.stat().st_size > _LARGEST:
            raise SAEError(f"{path}: too large for an autoencoder (at most {_LARGEST} bytes)")
        names = read_header(path).tensors.keys()
        with safe_open(path, framework="numpy") as file:
            missing = [name for name in shapes if name not in names]
            if missing:
                there = printable(", ".join(sorted(names)[:12]))
                raise SAEError(f"{path}: lacks {', '.join(missing)}; it holds {there}")
            for name in [*shapes, *(name for name in _OPTIONAL if name in names)]:
                part = file.get_slice(name)
                expected = shapes.get(name, shapes["W_enc"][1:])
                if tuple(part.get_shape()) != expected:
                    raise SAEError(f"{path}: {name} has shape {tuple(part.get_shape())}, expected {expected}")
                if part.get_dtype() == "BF16":
                    found[name] = read_bfloat16(path, name)
                else:
                    found[name] = np.asarray(file.get_tensor(name), np.float32)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SAEError(f"{path}: damaged or no safetensors file ({told(error)})") from error
    for name, tensor in found.items():
        if not np.isfinite(tensor).all():
            raise SAEError(f"{path}: {name} holds NaN or infinity")
    return found

