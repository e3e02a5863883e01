"""Against SAELens itself (extra `sae`): the same codes and reconstructions for every architecture and switch."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from alknet_firewall.sae import SAE
from alknet_firewall.sae.files import tensor_shapes

torch = pytest.importorskip("torch")
sae_lens = pytest.importorskip("sae_lens", reason="needs the package sae-lens (extra `sae`)")

D_IN, D_SAE = 24, 96
NORMALISATIONS = (
    "none", "layer_norm", "constant_norm_rescale", "expected_average_only_in", "covariance_whitening"
)  # fmt: skip
CASES = [
    (architecture, apply, normalisation, rescale)
    for architecture, apply, normalisation, rescale in itertools.product(
        ("standard", "topk", "jumprelu", "gated"), (True, False), NORMALISATIONS, (False, True)
    )
    if not rescale or architecture == "topk"
]


def _folder(folder: Path, told: dict[str, Any]) -> Path:
    from alknet_firewall.sae.config import parse_config

    folder.mkdir(exist_ok=True)
    (folder / "cfg.json").write_text(json.dumps({"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu", **told}))
    generator = np.random.default_rng(0)
    config = parse_config({"d_in": D_IN, "d_sae": D_SAE, **told})
    tensors = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    if "threshold" in tensors:
        tensors["threshold"] = np.abs(tensors["threshold"])
    save_file(tensors, folder / "sae_weights.safetensors")
    return folder


def _compare(folder: Path) -> None:
    theirs = sae_lens.SAE.load_from_disk(folder, device="cpu")
    ours = SAE.load(folder)
    states = (np.random.default_rng(1).standard_normal((3, 5, D_IN)) * 3 + 0.5).astype(np.float32)
    with torch.no_grad():
        codes = theirs.encode(torch.from_numpy(states))
        back = theirs.decode(codes).numpy()
    _same(ours.encode(states), codes.numpy())
    _same(ours.decode(ours.encode(states), states), back)
    from alknet_firewall.sae.module import TorchSAE

    module = TorchSAE(ours)
    with torch.no_grad():
        own = module.encode(torch.from_numpy(states))
        _same(own.numpy(), codes.numpy())
        _same(module.decode(own, torch.from_numpy(states)).numpy(), back)


def _same(ours: Any, theirs: Any) -> None:
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, float(np.abs(theirs).max()))
    assert np.abs(theirs).max() > 0


@pytest.mark.parametrize(("architecture", "apply", "normalisation", "rescale"), CASES)
def test_version_6(tmp_path: Path, architecture: str, apply: bool, normalisation: str, rescale: bool) -> None:
    told: dict[str, Any] = {
        "architecture": architecture,
        "apply_b_dec_to_input": apply,
        "normalize_activations": normalisation,
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.0.0", "hook_name": "blocks.4.hook_resid_post"},
    }
    if architecture == "topk":
        told |= {"k": 8, "rescale_acts_by_decoder_norm": rescale}
    _compare(_folder(tmp_path, told))


@pytest.mark.parametrize(
    "told",
    [
        {"architecture": "standard", "activation_fn_str": "relu", "hook_point": "blocks.4.hook_resid_post"},
        {"architecture": "standard", "normalize_activations": True},
        {"architecture": "standard", "normalize_activations": False, "apply_b_dec_to_input": False},
        {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 6}},
        {"architecture": "topk", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 64}},
        {"architecture": "jumprelu", "normalize_activations": "layer_norm", "hook_name": "model.layers.4"},
        {"architecture": "gated", "normalize_activations": "constant_norm_rescale"},
        {},
    ],
)
def test_versions_3_to_5(tmp_path: Path, told: dict[str, Any]) -> None:
    _compare(_folder(tmp_path, told))


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_what_is_trained_here_loads_there(tmp_path: Path, architecture: str) -> None:
    from alknet_firewall.sae.train import TrainSettings, train_sae

    states = (np.random.default_rng(0).standard_normal((400, D_IN)) * 5).astype(np.float32)
    settings = TrainSettings(architecture=architecture, k=4, steps=20, batch=64, device="cpu")
    sae, _ = train_sae(states, settings, hook_name="model.layers.4")
    sae.save(tmp_path)
    _compare(tmp_path)
    theirs = sae_lens.SAE.load_from_disk(tmp_path, device="cpu")
    assert theirs.cfg.metadata.hook_name == "model.layers.4"
