"""The same autoencoders in torch: for training, on the CPU or a GPU. `sae.SAE` says what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from alknet_firewall.sae.config import RESCALED, SAEConfig
from alknet_firewall.sae.sae import SAE

_GAUSSIAN = (2 * torch.pi) ** -0.5


class JumpReLU(torch.autograd.Function):
    """z where z > threshold, else 0; the threshold's gradient is estimated by a Gaussian kernel (arXiv:2407.14435)."""

    @staticmethod
    def forward(ctx: Any, before: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> torch.Tensor:
        ctx.save_for_backward(before, threshold)
        ctx.bandwidth = bandwidth
        return before * (before > threshold)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        before, threshold = ctx.saved_tensors
        near = _kernel(before, threshold, ctx.bandwidth)
        return gradient * (before > threshold), -(threshold * near * gradient).sum(0), None


class Step(torch.autograd.Function):
    """1 where z > threshold, else 0: summed it is L0, whose gradient by the threshold is estimated the same way."""

    @staticmethod
    def forward(ctx: Any, before: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> torch.Tensor:
        ctx.save_for_backward(before, threshold)
        ctx.bandwidth = bandwidth
        return (before > threshold).to(before.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        before, threshold = ctx.saved_tensors
        return None, -(_kernel(before, threshold, ctx.bandwidth) * gradient).sum(0), None


def _kernel(before: torch.Tensor, threshold: torch.Tensor, bandwidth: float) -> torch.Tensor:
    """Gaussian density of the distance to the threshold, (n, d_sae)."""
    distance = (before - threshold) / bandwidth
    density: torch.Tensor = torch.exp(-distance.square() / 2) * (_GAUSSIAN / bandwidth)
    return density


class TorchSAE(nn.Module):
    """A sparse autoencoder whose tensors can be trained; `before` are features before their activation."""

    def __init__(self, sae: SAE) -> None:
        """Takes the settings and tensors of `sae`."""
        super().__init__()
        self.config: SAEConfig = sae.config
        for name, tensor in sae.weights.items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(np.array(tensor, np.float32))))

    def sae(self) -> SAE:
        """Its settings and tensors as they are now."""
        tensors = {name: own.detach().cpu().numpy().copy() for name, own in self.named_parameters()}
        return SAE(self.config, tensors)

    def encode(self, states: torch.Tensor) -> torch.Tensor:
        """Features of states, (..., d_in) to (..., d_sae)."""
        scaled, _, _ = self.scaled(states)
        return self.activated(self.before(scaled))

    def decode(self, codes: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        """States of features; see `SAE.decode`."""
        if self.config.finetuned:
            codes = codes * self._own("scaling_factor")
        if self.config.rescale_acts_by_decoder_norm:
            codes = codes / self._norms()
        out = codes @ self._own("W_dec") + self._own("b_dec")
        if like is None:
            return out
        _, shift, scale = self.scaled(like)
        return out / scale + shift

    def scaled(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """States as they are encoded, and the shift and the scale that made them so."""
        if self.config.normalize_activations == RESCALED:
            length = states.norm(dim=-1, keepdim=True).clamp(min=1e-12)
            shift, scale = torch.zeros_like(length), self.config.d_in**0.5 / length
        elif self.config.normalize_activations == "layer_norm":
            shift = states.mean(-1, keepdim=True)
            scale = 1 / (states.std(-1, keepdim=True) + 1e-5)
        else:
            shift, scale = states.new_zeros(1), states.new_ones(1)
        return (states - shift) * scale, shift, scale

    def before(self, scaled: torch.Tensor) -> torch.Tensor:
        """What the features are made from: scaled states (n, d_in) to (n, d_sae)."""
        x = scaled - self._own("b_dec") if self.config.apply_b_dec_to_input else scaled
        bias = self._own("b_gate" if self.config.architecture == "gated" else "b_enc")
        before = x @ self._own("W_enc") + bias
        return before * self._norms() if self.config.rescale_acts_by_decoder_norm else before

    def activated(self, before: torch.Tensor, bandwidth: float = 1.0) -> torch.Tensor:
        """Features, (n, d_sae)."""
        if self.config.architecture == "topk":
            values, places = before.topk(self.config.k, dim=-1, sorted=False)
            return torch.zeros_like(before).scatter(-1, places, values.relu())
        if self.config.architecture == "gated":
            # The gate's matrix, scaled: what it gives without its bias is what the magnitude needs.
            magnitude = (before - self._own("b_gate")) * self._own("r_mag").exp() + self._own("b_mag")
            return self._nonlinear(magnitude) * (before > 0)
        if self.config.architecture == "jumprelu" and self.config.activation == "relu":
            jumped: torch.Tensor = JumpReLU.apply(before, self._own("threshold"), bandwidth)  # type: ignore[no-untyped-call]
            return jumped.relu()  # a threshold below 0 lets nothing negative through
        positive = self._nonlinear(before)
        return positive * (before > self._own("threshold")) if self.config.architecture == "jumprelu" else positive

    def _nonlinear(self, before: torch.Tensor) -> torch.Tensor:
        positive = before.relu()
        return positive.tanh() if self.config.activation == "tanh-relu" else positive

    def _norms(self) -> torch.Tensor:
        norms: torch.Tensor = torch.linalg.vector_norm(self._own("W_dec"), dim=-1)
        return norms

    def _own(self, name: str) -> torch.Tensor:
        return self.get_parameter(name)
