"""Folders of sparse autoencoders: the published form, older ones, and what must be refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from alknet_firewall.sae import SAE, SAEConfig, SAEError
from alknet_firewall.sae.config import parse_config

Change = Callable[[Path], None]


def published(folder: Path, *, d_in: int = 576, d_sae: int = 2304, k: int = 64) -> Path:
    """A topk folder in the form of the published files: flat settings of SAELens before 6."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": k},
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "dtype": "float32",
        "hook_name": "model.layers.4",
        "hook_layer": 4,
        "model_name": "a/model",
    }
    (folder / "cfg.json").write_text(json.dumps(told))
    tensors = {
        "W_enc": generator.standard_normal((d_in, d_sae)),
        "W_dec": generator.standard_normal((d_sae, d_in)),
        "b_enc": generator.standard_normal(d_sae),
        "b_dec": generator.standard_normal(d_in),
    }
    save_file(
        {name: tensor.astype(np.float32) for name, tensor in tensors.items()},
        folder / "sae_weights.safetensors",
    )
    return folder


def test_the_published_form_is_read(tmp_path: Path) -> None:
    sae = SAE.load(published(tmp_path))
    states = np.random.default_rng(1).standard_normal((7, 576)).astype(np.float32)
    codes = sae.encode(states)
    assert codes.shape == (7, 2304)
    assert ((codes != 0).sum(1) <= 64).all() and ((codes != 0).sum(1) > 0).all() and (codes >= 0).all()
    assert sae.decode(codes).shape == states.shape
    assert (sae.config.tap, sae.config.k) == (5, 64)
    sae.config.check_model(576, 30)


@pytest.mark.parametrize(
    ("hook", "tap"),
    [
        ("model.layers.0", 1),
        ("layers.3", 4),
        ("model.layers.7.hook_resid_post", 8),
        ("blocks.29.hook_resid_post", 30),
        ("blocks.8.hook_resid_pre", 8),
    ],
)
def test_hooks_name_taps(hook: str, tap: int) -> None:
    assert SAEConfig("standard", 4, 8, hook_name=hook).tap == tap


@pytest.mark.parametrize(
    "hook", ["", "blocks.0.hook_resid_pre", "blocks.3.hook_mlp_out", "blocks.3.attn.hook_z", "model.layers.x"]
)
def test_other_hooks_are_refused(hook: str) -> None:
    with pytest.raises(SAEError, match="names no tap"):
        _ = SAEConfig("standard", 4, 8, hook_name=hook).tap


def test_another_model_is_refused() -> None:
    with pytest.raises(SAEError, match="576 numbers, the detector gives 960"):
        SAEConfig("standard", 576, 8, hook_name="model.layers.4").check_model(960, 32)
    with pytest.raises(SAEError, match="tap 31; the detector has 30 blocks"):
        SAEConfig("standard", 576, 8, hook_name="model.layers.30").check_model(576, 30)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"architecture": "standard", "apply_b_dec_to_input": True, "normalize_activations": "none"}),
        ({"normalize_activations": True}, {"normalize_activations": "expected_average_only_in"}),
        ({"normalize_activations": None}, {"normalize_activations": "none"}),
        ({"hook_point": "blocks.2.hook_resid_post"}, {"hook_name": "blocks.2.hook_resid_post"}),
        ({"metadata": {"hook_name": "model.layers.2"}}, {"hook_name": "model.layers.2"}),
        ({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}, {"architecture": "topk", "k": 3}),
        ({"architecture": "topk", "k": 5, "rescale_acts_by_decoder_norm": True}, {"rescale_acts_by_decoder_norm": True}),
    ],
)  # fmt: skip
def test_forms_of_all_versions(old: dict[str, Any], new: dict[str, Any]) -> None:
    config = parse_config({"d_in": 4, "d_sae": 8, **old})
    assert {name: getattr(config, name) for name in new} == new


def _settings(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "cfg.json"
        told = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in told.items() if value is not ...}))

    return change


def _tensor(name: str, tensor: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "sae_weights.safetensors"
        tensors = {**load_file(path), name: tensor}
        save_file({key: value for key, value in tensors.items() if value is not None}, path)

    return change


def _bytes(name: str, content: bytes | None) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)

    return change


class _Bomb:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('executed')",))


def _pickled(folder: Path) -> None:
    (folder / "sae_weights.safetensors").unlink()
    (folder / "sae.pt").write_bytes(pickle.dumps(_Bomb()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_settings(architecture="transcoder", activation_fn_str="relu"), "architecture is 'transcoder'"),
        (_settings(architecture=["topk"], activation_fn_str="relu"), "architecture is"),
        (_settings(d_in=...), "d_in is 'None'"),
        (_settings(d_sae=True), "d_sae is 'True'"),
        (_settings(d_sae=1 << 40), "d_sae is"),
        (_settings(activation_fn_kwargs={"k": 0}), "k is 0"),
        (_settings(activation_fn_kwargs={"k": 9}), "k is 9"),
        (_settings(activation_fn_kwargs=None), "k is None"),
        (_settings(normalize_activations="z-score"), "normalize_activations is 'z-score'"),
        (_settings(reshape_activations="hook_z"), "reshape_activations is 'hook_z'"),
        (_settings(apply_b_dec_to_input="yes"), "expected true or false"),
        (_settings(d_in=5), "W_enc has shape"),
        (_bytes("cfg.json", b"[1, 2]"), "expected a JSON object"),
        (_bytes("cfg.json", b"{"), "cannot be read"),
        (_bytes("cfg.json", b"[" * 100_000), "cannot be read"),
        (_bytes("cfg.json", b"\xff\xfe"), "cannot be read"),
        (_bytes("cfg.json", b" " * (2 << 20)), "too many"),
        (_bytes("cfg.json", None), "cannot be read"),
        (_bytes("sae_weights.safetensors", b""), "damaged or no safetensors file"),
        (_bytes("sae_weights.safetensors", pickle.dumps(_Bomb())), "damaged or no safetensors file"),
        (_bytes("sae_weights.safetensors", b"\xff" * 64), "damaged or no safetensors file"),
        (_bytes("sae_weights.safetensors", None), "missing"),
        (_pickled, "sae.pt is pickled"),
        (_tensor("b_enc", None), "lacks b_enc"),
        (_tensor("W_dec", np.zeros((4, 8), np.float32)), "W_dec has shape"),
        (_tensor("b_dec", np.full(4, np.nan, np.float32)), "NaN or infinity"),
        (_tensor("scaling_factor", np.full(8, 2, np.float32)), "finetuning_scaling_factor = false"),
        (_settings(finetuning_scaling_factor=True), "lacks scaling_factor"),
    ],
)  # fmt: skip
def test_bad_folders_are_refused(tmp_path: Path, change: Change, told: str) -> None:
    folder = published(tmp_path, d_in=4, d_sae=8, k=2)
    SAE.load(folder)
    change(folder)
    with pytest.raises(SAEError, match=told):
        SAE.load(folder)


@pytest.mark.parametrize("name", ["sae.pt", "ckpt.pkl", "missing"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    if "." in name:
        (tmp_path / name).write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(SAEError, match="never read" if "." in name else "no such folder"):
        SAE.load(tmp_path / name)


def test_half_precisions_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    folder = published(tmp_path, d_in=4, d_sae=8, k=2)
    path = folder / "sae_weights.safetensors"
    exact = SAE.load(folder).weights
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        save_torch({name: tensor.to(dtype) for name, tensor in load_torch(path).items()}, path)
        for name, tensor in SAE.load(folder).weights.items():
            assert tensor.dtype == np.float32 and np.allclose(tensor, exact[name], rtol=1e-2, atol=1e-2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    sae = SAE.load(published(tmp_path / "old", d_in=4, d_sae=8, k=2))
    sae.save(tmp_path / "new")
    again = SAE.load(tmp_path / "new")
    assert again.config.tap == sae.config.tap and again.config.metadata["model_name"] == "a/model"
    assert all(np.array_equal(again.weights[name], tensor) for name, tensor in sae.weights.items())
    (tmp_path / "file").write_text("")
    with pytest.raises(SAEError, match="cannot be written"):
        sae.save(tmp_path / "file" / "below")
