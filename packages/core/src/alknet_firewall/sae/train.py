"""Trains a sparse autoencoder on states: topk, or jumprelu whose thresholds are learnt.

    loss = lost share of the variance + sparsity + dead features

The sparsity of jumprelu is driven to a number of active features: `((L0 - k) / k)^2` (arXiv:2407.14435, section 5; topk
needs none). Features that have not been active for a while are asked to tell what the others lose (AuxK of
arXiv:2406.04093), in both architectures: a feature that is never active gets no other gradient. Rows of the decoder
keep length 1. What happens at a step depends on the seed and the number of the step alone, so an interrupted training
goes on from its checkpoint to the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from alknet_firewall.sae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from alknet_firewall.sae.config import RESCALED, SAEConfig, SAEError
from alknet_firewall.sae.module import Step, TorchSAE
from alknet_firewall.sae.sae import SAE

FloatArray = npt.NDArray[np.float32]

_AUX = 1 / 32  # weight of dead features, as published
_FASTER = 10.0
_CURVE = 10  # steps between two points of the curve


@dataclass(frozen=True)
class TrainSettings:
    """Choices for a training.

    Attributes:
        architecture: `topk` or `jumprelu`.
        k: Active features: at most (topk), on average (jumprelu).
        features: Of the autoencoder, for each number of a state.
        steps: Updates.
        batch: States an update.
        rate: Of learning, at its highest.
        bandwidth: Of the kernel by which thresholds are learnt.
        sparsity: Weight of the sparsity loss of jumprelu.
        dead_after: A feature is dead when it has not been active for so many states.
        checkpoint_every: Steps between two checkpoints.
        bf16: Whether products are computed in bfloat16: three times as fast where the processor has it.
        device: `auto` (CUDA where there is), `cpu` or `cuda`.
        seed: Of everything random.
    """

    architecture: str = "topk"
    k: int = 64
    features: int = 4
    steps: int = 2000
    batch: int = 512
    rate: float = 3e-3
    bandwidth: float = 0.3
    sparsity: float = 0.5
    dead_after: int = 20_000
    checkpoint_every: int = 200
    bf16: bool = False
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Point:
    """A point of the loss curve: the step, the lost share of the variance, L0, and the share of dead features."""

    step: int
    lost: float
    active: float
    dead: float


def train_sae(
    states: FloatArray,
    settings: TrainSettings,
    *,
    hook_name: str = "",
    checkpoint: Path | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[SAE, list[Point]]:
    """Trains an autoencoder.

    Args:
        states: Not normalised, (n, d_in), n at least 2.
        settings: Choices.
        hook_name: Where the states were taken, for the file.
        checkpoint: Where to keep what is needed to go on; nothing is kept if None.
        threads: Of torch, from here on; as they are if None.
        progress: Called with the share that is done.

    Returns:
        The autoencoder, which scales states to the length that RMSNorm gives them, and the curve.

    Raises:
        SAEError: The settings make no sense, or the checkpoint is of another training.
    """
    if settings.architecture not in ("topk", "jumprelu"):
        raise SAEError(f"{settings.architecture!r} is not trained here; choose topk or jumprelu")
    if len(states) < 2 or not 1 <= settings.k <= settings.features * states.shape[1]:
        raise SAEError("training needs two states at least, and k between 1 and the number of features")
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(chosen if settings.device == "auto" else settings.device)
    model = TorchSAE(_start(states, settings, hook_name)).to(device)
    optimizer = torch.optim.Adam(_groups(model), lr=settings.rate, fused=True)
    done = Checkpoint(0, np.zeros(model.config.d_sae, np.int64), [])
    if checkpoint is not None:
        done = load_checkpoint(checkpoint, model, optimizer, settings) or done
    idle = torch.from_numpy(done.idle).to(device)
    curve = [Point(int(step), *rest) for step, *rest in done.curve]
    for step in range(done.step, settings.steps):
        picked = np.random.default_rng([settings.seed, step]).integers(len(states), size=settings.batch)
        batch = torch.from_numpy(np.asarray(states[picked], np.float32)).to(device)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * group["faster"] * _schedule(step, settings.steps)
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
            loss, lost, codes = _loss(model, batch, idle > settings.dead_after, settings)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        _constrain(model)
        active = codes.detach() != 0
        idle = torch.where(active.any(0), 0, idle + len(batch))
        if step % _CURVE == 0 or step == settings.steps - 1:
            dead = float((idle > settings.dead_after).float().mean())
            curve.append(Point(step, float(lost), float(active.sum(1).float().mean()), dead))
        after = step + 1
        if checkpoint is not None and (after % settings.checkpoint_every == 0 or after == settings.steps):
            told = Checkpoint(after, idle.cpu().numpy(), [[p.step, p.lost, p.active, p.dead] for p in curve])
            save_checkpoint(checkpoint, model, optimizer, settings, told)
        progress(after / settings.steps)
    return model.sae(), curve


def _groups(model: TorchSAE) -> list[dict[str, Any]]:
    """Thresholds move faster than the rest: Adam moves all by the same amount, and they are larger."""
    thresholds = [own for name, own in model.named_parameters() if name == "threshold"]
    others = [own for name, own in model.named_parameters() if name != "threshold"]
    groups: list[dict[str, Any]] = [{"params": others, "faster": 1.0}]
    return [*groups, {"params": thresholds, "faster": _FASTER}] if thresholds else groups


def _start(states: FloatArray, settings: TrainSettings, hook_name: str) -> SAE:
    """Random directions, the encoder as the decoder's transpose, the decoder's bias in the middle of the states."""
    width = states.shape[1]
    d_sae = settings.features * width
    generator = np.random.default_rng(settings.seed)
    rows = generator.standard_normal((d_sae, width)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    config = SAEConfig(
        settings.architecture, width, d_sae, settings.k if settings.architecture == "topk" else 0,
        normalize_activations=RESCALED, hook_name=hook_name,
    )  # fmt: skip
    sample = np.asarray(states[generator.integers(len(states), size=min(len(states), 8192))], np.float32)
    sample = sample * (width**0.5 / np.maximum(np.linalg.norm(sample, axis=1, keepdims=True), 1e-12))
    weights = {"W_enc": rows.T.copy(), "W_dec": rows, "b_dec": sample.mean(0), "b_enc": np.zeros(d_sae, np.float32)}
    if settings.architecture == "jumprelu":
        before = (sample[:512] - weights["b_dec"]) @ weights["W_enc"]
        # As many features as wanted are active from the start.
        level = max(float(np.quantile(before, 1 - settings.k / d_sae)), 1e-3)
        weights["threshold"] = np.full(d_sae, level, np.float32)
    return SAE(config, weights)


def _loss(
    model: TorchSAE, batch: torch.Tensor, dead: torch.Tensor, settings: TrainSettings
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of a batch, the lost share of its variance, and its features."""
    scaled, _, _ = model.scaled(batch)
    before = model.before(scaled)
    codes = model.activated(before, settings.bandwidth)
    residual = scaled - model.decode(codes)
    variance = (scaled - scaled.mean(0)).pow(2).sum(1).mean()
    lost = residual.pow(2).sum(1).mean() / variance
    loss = lost
    if settings.architecture == "jumprelu":
        active = Step.apply(before, model.get_parameter("threshold"), settings.bandwidth).sum(1)  # type: ignore[no-untyped-call]
        loss = loss + settings.sparsity * ((active.mean() - settings.k) / settings.k) ** 2
    count = int(dead.sum())
    if count:
        wanted = min(count, batch.shape[1] // 2)
        values, places = before.masked_fill(~dead, -torch.inf).topk(wanted, dim=1)
        # Without ReLU: a feature that is negative everywhere must get a gradient, too.
        told = torch.zeros_like(before).scatter(1, places, values) @ model.get_parameter("W_dec")
        missed = (residual.detach() - told).pow(2).sum(1).mean() / residual.detach().pow(2).sum(1).mean()
        loss = loss + _AUX * missed
    return loss, lost.detach(), codes


def _constrain(model: TorchSAE) -> None:
    with torch.no_grad():
        decoder = model.get_parameter("W_dec")
        decoder.div_(torch.linalg.vector_norm(decoder, dim=1, keepdim=True).clamp(min=1e-8))
        if model.config.architecture == "jumprelu":
            model.get_parameter("threshold").clamp_(min=0.0)


def _schedule(step: int, steps: int) -> float:
    """Up in the first twentieth, down to nothing in the last fifth."""
    return min(1.0, (step + 1) / (0.05 * steps), (steps - step) / (0.2 * steps))
