"""What sparse autoencoders compute: numpy and torch alike, thresholds, scales, the quality of what comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from alknet_firewall.sae import SAE, SAEConfig
from alknet_firewall.sae.config import ARCHITECTURES, NORMALISATIONS
from alknet_firewall.sae.files import tensor_shapes

FloatArray = npt.NDArray[np.float32]
STATES = (np.random.default_rng(3).standard_normal((11, 6)) * 4 + 1).astype(np.float32)


def make(architecture: str = "jumprelu", **settings: Any) -> SAE:
    config = SAEConfig(architecture, 6, 20, k=4 if architecture == "topk" else 0, **settings)
    generator = np.random.default_rng(0)
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in tensor_shapes(config).items()}
    if config.finetuned:
        weights["scaling_factor"] = np.abs(generator.standard_normal(20)).astype(np.float32)
    return SAE(config, weights)


def test_a_threshold_of_nothing_is_relu() -> None:
    jump = make("jumprelu")
    jump.weights["threshold"][:] = 0
    plain = SAE(replace(jump.config, architecture="standard"), jump.weights)
    assert np.array_equal(jump.encode(STATES), plain.encode(STATES))


def test_nothing_up_to_the_threshold_is_active() -> None:
    sae = make("jumprelu")
    sae.weights["threshold"][:] = 2.5
    codes = sae.encode(STATES)
    assert (codes[codes != 0] > 2.5).all() and (codes != 0).any()


def test_topk_is_k_or_fewer() -> None:
    sae = make("topk")
    assert ((sae.encode(STATES) != 0).sum(1) <= 4).all()
    sae.weights["b_enc"][:] = -1e6
    assert not sae.encode(STATES).any()  # the largest are not positive


def test_ties_do_not_let_more_in() -> None:
    sae = make("topk", apply_b_dec_to_input=False)
    sae.weights["W_enc"][:] = 0
    sae.weights["b_enc"][:] = 1
    assert ((sae.encode(STATES) != 0).sum(1) == 4).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("activation", ["relu", "tanh-relu"])
@pytest.mark.parametrize("finetuned", [False, True])
def test_torch_computes_the_same(architecture: str, normalisation: str, activation: str, finetuned: bool) -> None:
    torch = pytest.importorskip("torch")
    from alknet_firewall.sae.module import TorchSAE

    sae = make(
        architecture, normalize_activations=normalisation, activation=activation, finetuned=finetuned,
        rescale_acts_by_decoder_norm=architecture == "topk",
    )  # fmt: skip
    module = TorchSAE(sae)
    with torch.no_grad():
        codes = module.encode(torch.from_numpy(STATES))
        back = module.decode(codes, torch.from_numpy(STATES)).numpy()
    assert np.allclose(sae.encode(STATES), codes.numpy(), atol=1e-5)
    assert np.allclose(sae.decode(sae.encode(STATES), STATES), back, atol=1e-4)
    assert all(np.array_equal(tensor, sae.weights[name]) for name, tensor in module.sae().weights.items())


@pytest.mark.parametrize("normalisation", ["constant_norm_rescale", "layer_norm"])
def test_scale_does_not_matter_where_states_are_normalised(normalisation: str) -> None:
    sae = make(normalize_activations=normalisation)
    assert np.allclose(sae.encode(STATES), sae.encode(STATES * 7), atol=1e-4)
    back = sae.decode(sae.encode(STATES), STATES)
    assert np.allclose(sae.decode(sae.encode(STATES * 7), STATES * 7), back * 7, atol=1e-2)


def test_nothing_breaks_at_a_state_of_zeros() -> None:
    for normalisation in NORMALISATIONS:
        assert np.isfinite(make(normalize_activations=normalisation).encode(np.zeros((2, 6), np.float32))).all()


def test_shapes_are_kept() -> None:
    sae = make()
    assert sae.encode(STATES.reshape(11, 1, 6)).shape == (11, 1, 20)
    assert sae.encode(STATES[0]).shape == (20,)
    assert sae.encode(STATES[:0]).shape == (0, 20)


def test_quality_of_an_autoencoder_that_loses_nothing() -> None:
    config = SAEConfig("standard", 6, 12, apply_b_dec_to_input=False)
    eye = np.eye(6, dtype=np.float32)
    both = np.concatenate([eye, -eye], axis=1)  # one feature for each sign of each number
    sae = SAE(config, {"W_enc": both, "W_dec": both.T.copy(), "b_enc": np.zeros(12, np.float32), "b_dec": np.zeros(6, np.float32)})
    quality = sae.quality(STATES)
    assert quality.explained == pytest.approx(1) and quality.error == pytest.approx(0, abs=1e-6)
    assert quality.active == 6 and quality.dead == 0
