"""Three doors for the same weights: one fingerprint, the same states; and what is refused at each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import decoders, models, pre_tokenizers

from alknet_firewall.detector import weights as weights_module
from alknet_firewall.detector.detector import load_detector
from alknet_firewall.detector.protocol import Backend
from alknet_firewall.detector.weights import (
    FolderWeights,
    GgufWeights,
    Weights,
    default_weights_path,
    open_weights,
)
from alknet_firewall.errors import WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
N_LAYERS = 2


@pytest.fixture(scope="module")
def folder(weights: GgufWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first blocks of the default weights as a folder that transformers could load."""
    path = tmp_path_factory.mktemp("folder")
    a, metadata = weights.architecture, weights.file.metadata
    tensors = {name: np.ascontiguousarray(weights.tensor(name)) for name in weights.tensor_names(N_LAYERS)}
    save_file(tensors, path / "model.safetensors")
    config = {
        "model_type": "llama", "hidden_size": a.hidden_size, "num_attention_heads": a.n_heads, "vocab_size": a.vocabulary,
        "num_key_value_heads": a.n_kv_heads, "num_hidden_layers": N_LAYERS, "intermediate_size": a.mlp_size,
        "rope_theta": a.rope_theta, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    (path / "config.json").write_text(json.dumps(config))
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = HfTokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [t for t, kind in zip(tokens, metadata["tokenizer.ggml.token_type"]) if kind == 3]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A cache as huggingface_hub lays it out, with the folder as repository `someone/model`, and no network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    repository = tmp_path / "models--someone--model"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # both are read when huggingface_hub is imported
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants", constants, raising=False)
    return "hub:someone/model"


def test_three_doors_one_fingerprint(
    weights: GgufWeights, folder: Path, hub: str, backends: dict[str, Backend], texts: tuple[str, ...]
) -> None:
    opened: list[Weights] = [weights, open_weights(str(folder)), open_weights(f"{hub}@{COMMIT}")]
    detectors = [load_detector(w, (1, 2), backends, backend="onnxruntime", precision="fp32") for w in opened]
    assert len({detector.fingerprint for detector in detectors}) == 1
    assert len({detector.tokenizer.template for detector in detectors}) == 1
    for text in texts[::4]:
        ids = [detector.tokenizer.encode(text).ids for detector in detectors]
        states = [detector.hidden_states([row]) for detector, row in zip(detectors, ids)]
        for other_ids, other in zip(ids[1:], states[1:]):
            np.testing.assert_array_equal(ids[0], other_ids)
            for tap in (1, 2):
                np.testing.assert_allclose(other[tap], states[0][tap], rtol=1e-5, atol=1e-5)


def test_the_digest_sees_values_and_names_only(weights: GgufWeights, folder: Path) -> None:
    assert FolderWeights(folder).digest(2) == weights.digest(2) != weights.digest(1)
    assert FolderWeights(folder).file_digest != weights.file_digest


def test_tensors_in_several_files_and_half_precision(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    for file in ("config.json", "tokenizer.json"):
        shutil.copy(folder / file, tmp_path)
    save_file({name: tensors[name] for name in names[:5]}, tmp_path / "model-1.safetensors")
    save_file(
        {name: tensors[name].astype(np.float16) for name in names[5:]}, tmp_path / "model-2.safetensors"
    )
    split = FolderWeights(tmp_path)
    assert list(split.tensor_names(N_LAYERS)) == names
    for name in names:
        assert split.tensor(name).dtype == np.float32
        np.testing.assert_allclose(split.tensor(name), tensors[name], rtol=1e-3, atol=1e-4)


def test_bfloat16(folder: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    shutil.copy(folder / "config.json", tmp_path)
    values = torch.randn(7, 5).to(torch.bfloat16)
    save_torch({"a": torch.zeros(3, dtype=torch.bfloat16), "b": values}, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(FolderWeights(tmp_path).tensor("b"), values.float().numpy())


def test_a_hub_revision_must_be_a_commit(hub: str) -> None:
    for reference in (hub, f"{hub}@"):
        with pytest.raises(WeightsError, match="40 hex digits"):
            open_weights(reference)
    for moving in ("main", "v1.0", COMMIT[:12], COMMIT.upper()):
        with pytest.raises(WeightsError, match="allow_moving_revision"):
            open_weights(f"{hub}@{moving}")


def test_a_moving_revision_when_allowed(hub: str) -> None:
    assert isinstance(open_weights(f"{hub}@main", allow_moving_revision=True), FolderWeights)


def test_a_repository_that_is_not_in_the_cache(hub: str) -> None:
    with pytest.raises(WeightsError, match="cannot be fetched"):
        open_weights(f"hub:someone/other@{COMMIT}")


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file or folder"):
        open_weights(str(tmp_path / "none"))


def test_missing_default_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))
    monkeypatch.setattr(weights_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="alknet-firewall weights fetch"):
        default_weights_path()


def test_default_weights_from_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))
    monkeypatch.setattr(weights_module.importlib.util, "find_spec", lambda name: None)
    path = tmp_path / "weights" / weights_module.GGUF_NAME
    path.parent.mkdir()
    path.touch()
    assert default_weights_path() == path


def damaged(folder: Path, into: Path, **files: bytes | None) -> Path:
    """A copy with some files replaced, or removed where None."""
    shutil.copytree(folder, into)
    for name, content in files.items():
        path = into / name.replace("__", ".")
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    return into


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"config__json": None}, "config.json"),
        ({"config__json": b"{"}, "config.json"),
        ({"config__json": b"[]"}, "JSON object"),
        ({"config__json": b"{}"}, "garbles"),
        ({"config__json": b'{"hidden_size": "wide"}'}, "garbles"),
        ({"config__json": b'{"hidden_size": 1e999}'}, "config.json.*too large"),
        (
            {"config__json": b'{"hidden_size": 8, "num_attention_heads": 2, "rope_parameters": [1]}'},
            "garbles",
        ),
        ({"model__safetensors": None}, "no .safetensors file"),
        ({"model__safetensors": b""}, "damaged or cut"),
        ({"model__safetensors": b"\xff" * 100}, "damaged or cut"),
        ({"model__safetensors": b"\x80\x04pickle"}, "damaged or cut"),
    ],
)
def test_a_damaged_folder(tiny: Any, tmp_path: Path, files: dict[str, bytes | None], why: str) -> None:
    with pytest.raises(WeightsError, match=why):
        open_weights(str(damaged(tiny.path, tmp_path / "damaged", **files)))


def test_a_cut_safetensors_file(tiny: Any, tmp_path: Path) -> None:
    content = (tiny.path / "model.safetensors").read_bytes()
    for i, length in enumerate((4, 8, 500, len(content) - 1)):
        with pytest.raises(WeightsError, match="damaged or cut"):
            open_weights(str(damaged(tiny.path, tmp_path / str(i), model__safetensors=content[:length])))


@pytest.mark.parametrize(
    "content", [None, b"{", b"{}", b'{"model": 3}', b'{"added_tokens": [{}]}', b'{"added_tokens": 1}']
)
def test_a_damaged_tokenizer(
    tiny: Any, tmp_path: Path, backends: dict[str, Backend], content: bytes | None
) -> None:
    path = damaged(tiny.path, tmp_path / "damaged", tokenizer__json=content)
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        load_detector(open_weights(str(path)), (1,), backends)


def test_a_tensor_that_is_missing_or_misshapen(
    tiny: Any, tmp_path: Path, backends: dict[str, Backend]
) -> None:
    tensors = load_file(tiny.path / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    for i, changed in enumerate(
        ({**tensors, name: tensors[name].T.copy()}, {k: v for k, v in tensors.items() if k != name})
    ):
        path = damaged(tiny.path, tmp_path / str(i))
        save_file(changed, path / "model.safetensors")
        load_detector(
            open_weights(str(path)), (1,), backends, backend="onnxruntime"
        )  # not needed for the first block
        with pytest.raises(WeightsError, match="up_proj"):
            load_detector(open_weights(str(path)), (2,), backends, backend="onnxruntime")
