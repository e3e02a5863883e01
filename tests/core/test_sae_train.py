"""Training sparse autoencoders: sparse, better than chance, thresholds learnt, dead features revived, resumable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")

import torch

from alknet_firewall.sae import SAEError
from alknet_firewall.sae.module import JumpReLU, Step, TorchSAE
from alknet_firewall.sae.train import TrainSettings, _loss, _start, train_sae

SETTINGS = TrainSettings(k=4, steps=120, batch=128, rate=1e-2, features=4, dead_after=2000, device="cpu")


@pytest.fixture(scope="module")
def states() -> npt.NDArray[np.float32]:
    """States that are made of few of 40 directions each."""
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((40, 16))
    chosen = generator.random((3000, 40)) < 0.06
    return (chosen * generator.uniform(1, 3, (3000, 40)) @ directions + 0.3).astype(np.float32)


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_it_learns(states: npt.NDArray[np.float32], architecture: str) -> None:
    sae, curve = train_sae(states, replace(SETTINGS, architecture=architecture), hook_name="model.layers.3")
    assert curve[-1].lost < curve[0].lost / 2
    assert 2 <= curve[-1].active <= 6
    assert sae.config.tap == 4 and sae.quality(states).explained > 0.5
    assert np.allclose(np.linalg.norm(sae.weights["W_dec"], axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_it_learns_in_bfloat16(states: npt.NDArray[np.float32], architecture: str) -> None:
    exact, rough = (
        train_sae(states, replace(SETTINGS, architecture=architecture, bf16=bf16))[0].quality(states)
        for bf16 in (False, True)
    )
    assert rough.explained == pytest.approx(exact.explained, abs=0.05)


def test_thresholds_are_learnt(states: npt.NDArray[np.float32]) -> None:
    sae, _ = train_sae(states, replace(SETTINGS, architecture="jumprelu"))
    threshold = sae.weights["threshold"]
    assert threshold.std() > 1e-3 and threshold.min() >= 0 and threshold.max() > 0


def test_the_threshold_reaches_the_number_that_is_asked_for(states: npt.NDArray[np.float32]) -> None:
    few, many = (
        train_sae(states, replace(SETTINGS, architecture="jumprelu", k=k))[0].quality(states).active
        for k in (2, 10)
    )
    assert few < 4 < 7 < many


def test_gradients_of_the_threshold_are_those_of_the_smoothed_functions() -> None:
    """The estimator is the derivative of the expectation, for pre-activations that are spread evenly."""
    before = torch.linspace(-4, 8, 200_001)[:, None]
    threshold = torch.tensor([1.5], requires_grad=True)
    Step.apply(before, threshold, 0.2).mean().backward()
    assert threshold.grad is not None
    assert float(threshold.grad) == pytest.approx(-1 / 12, rel=1e-3)  # the density there
    threshold.grad = None
    JumpReLU.apply(before, threshold, 0.2).mean().backward()
    assert float(threshold.grad) == pytest.approx(-1.5 / 12, rel=1e-3)


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_dead_features_learn_what_the_others_lose(states: npt.NDArray[np.float32], architecture: str) -> None:
    settings = replace(SETTINGS, architecture=architecture)
    model = TorchSAE(_start(states, settings, ""))
    model.get_parameter("b_enc").data[:8] = -30  # these are not active any more
    batch = torch.from_numpy(states[:64])
    for dead in (torch.zeros(64, dtype=torch.bool), torch.arange(64) < 8):
        model.zero_grad()
        _loss(model, batch, dead, settings)[0].backward()
        gradient = model.get_parameter("W_enc").grad
        assert gradient is not None
        assert bool((gradient[:, :8] != 0).any()) == bool(dead.any())


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_an_interrupted_training_ends_the_same(
    states: npt.NDArray[np.float32], tmp_path: Path, architecture: str
) -> None:
    settings = replace(SETTINGS, architecture=architecture, steps=40, checkpoint_every=10)
    whole, curve = train_sae(states, settings)

    class Stopped(Exception):
        pass

    def stop(share: float) -> None:
        if share >= 0.6:
            raise Stopped

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        train_sae(states, settings, checkpoint=path, progress=stop)
    shares: list[float] = []
    again, other = train_sae(states, settings, checkpoint=path, progress=shares.append)
    assert shares[0] == pytest.approx(0.525)  # 20 of 40 were done
    assert [point.step for point in other] == [point.step for point in curve]
    assert all(np.allclose(again.weights[name], tensor, atol=1e-5) for name, tensor in whole.weights.items())


def test_other_checkpoints_are_refused(states: npt.NDArray[np.float32], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    settings = replace(SETTINGS, steps=4, checkpoint_every=2)
    train_sae(states, settings, checkpoint=path)
    with pytest.raises(SAEError, match="other settings"):
        train_sae(states, replace(settings, k=5), checkpoint=path)
    path.write_bytes(b"\x80\x04nonsense")
    with pytest.raises(SAEError, match="damaged"):
        train_sae(states, settings, checkpoint=path)


@pytest.mark.parametrize("change", [{"architecture": "gated"}, {"k": 0}, {"k": 1000}])
def test_senseless_settings_are_refused(states: npt.NDArray[np.float32], change: dict[str, object]) -> None:
    with pytest.raises(SAEError):
        train_sae(states, replace(SETTINGS, **change))  # type: ignore[arg-type]
