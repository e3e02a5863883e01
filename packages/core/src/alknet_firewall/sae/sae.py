"""A sparse autoencoder in numpy: a state becomes a few active features, and these the state again.

    code = activation(scaled(state) @ W_enc + bias)        (n, d_in) to (n, d_sae)
    state = unscaled(code @ W_dec + b_dec)                 (n, d_sae) to (n, d_in)

Standard: ReLU (Bricken et al., Towards Monosemanticity, 2023). topk: the k largest (Gao et al., arXiv:2406.04093).
jumprelu: nothing up to a threshold (Rajamanoharan et al., arXiv:2407.14435). gated: a gate of its own decides what is
active (the same, arXiv:2404.16014). All is computed in float32, whatever the file holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alknet_firewall.sae.config import RESCALED, SAEConfig
from alknet_firewall.sae.files import read_sae, write_sae

FloatArray = npt.NDArray[np.float32]

_ROWS = 4096  # states that are encoded at a time: bounds memory


@dataclass(frozen=True)
class Quality:
    """How well states come back.

    Attributes:
        error: Mean squared length of what is lost.
        explained: Share of the variance of the states that comes back.
        active: Mean number of active features (L0).
        dead: Share of features that were never active.
    """

    error: float
    explained: float
    active: float
    dead: float


@dataclass(frozen=True)
class SAE:
    """A sparse autoencoder.

    Attributes:
        config: Its settings.
        weights: Its tensors by the names of SAELens: `W_enc` (d_in, d_sae), `W_dec` (d_sae, d_in), `b_dec` (d_in,), and
            (d_sae,) each: `b_enc`; `threshold` (jumprelu); `b_gate`, `b_mag`, `r_mag` in place of `b_enc` (gated).
    """

    config: SAEConfig
    weights: dict[str, FloatArray]

    @classmethod
    def load(cls, folder: str | Path) -> SAE:
        """Reads a folder with `cfg.json` and `sae_weights.safetensors`; nothing in it is executed.

        Raises:
            SAEError: A file is missing, damaged, of another kind, or the tensors do not fit the settings.
        """
        return cls(*read_sae(Path(folder)))

    def save(self, folder: str | Path) -> None:
        """Writes that form, for SAELens 6.

        Raises:
            SAEError: The folder cannot be written to.
        """
        write_sae(Path(folder), self.config, self.weights)

    def encode(self, states: FloatArray) -> FloatArray:
        """Features of states, (..., d_in) to (..., d_sae)."""
        rows = np.asarray(states, np.float32).reshape(-1, self.config.d_in)
        codes = np.empty((len(rows), self.config.d_sae), np.float32)
        for first in range(0, len(rows), _ROWS):
            codes[first : first + _ROWS] = self._encode(rows[first : first + _ROWS])
        return codes.reshape(*states.shape[:-1], self.config.d_sae)

    def decode(self, codes: FloatArray, like: FloatArray | None = None) -> FloatArray:
        """States of features, (..., d_sae) to (..., d_in).

        Args:
            codes: Features.
            like: The states that they were read from, (..., d_in): where states are normalised first
                (`normalize_activations`), their scale is given back. Without it the result stays normalised.
        """
        weights, code = self.weights, np.asarray(codes, np.float32)
        if self.config.finetuned:
            code = code * weights["scaling_factor"]
        if self.config.rescale_acts_by_decoder_norm:
            code = code / self._norms
        out: FloatArray = code @ weights["W_dec"] + weights["b_dec"]
        if like is None:
            return out
        shift, scale = self._scale(np.asarray(like, np.float32))
        return np.asarray(out / scale + shift, np.float32)

    def quality(self, states: FloatArray) -> Quality:
        """How well states (n, d_in) come back."""
        lost, active, fired = 0.0, 0.0, np.zeros(self.config.d_sae, np.bool_)
        for rows in _parts(states):
            codes = self.encode(rows)
            lost += float(np.sum((rows - self.decode(codes, rows)).astype(np.float64) ** 2))
            active += float(np.count_nonzero(codes))
            fired |= (codes != 0).any(0)
        variance = float(np.sum((states - states.mean(0)).astype(np.float64) ** 2))
        n = len(states)
        return Quality(lost / n, 1 - lost / max(variance, 1e-12), active / n, float(1 - fired.mean()))

    @cached_property
    def _norms(self) -> FloatArray:
        return np.asarray(np.linalg.norm(self.weights["W_dec"], axis=1), np.float32)

    @cached_property
    def _magnitude(self) -> FloatArray:
        scaled: FloatArray = self.weights["W_enc"] * np.exp(self.weights["r_mag"])
        return scaled

    def _encode(self, rows: FloatArray) -> FloatArray:
        weights, config = self.weights, self.config
        shift, scale = self._scale(rows)
        x: FloatArray = (rows - shift) * scale
        if config.apply_b_dec_to_input:
            x = x - weights["b_dec"]
        if config.architecture == "gated":
            gate = x @ weights["W_enc"] + weights["b_gate"] > 0
            return np.where(gate, self._activated(x @ self._magnitude + weights["b_mag"]), np.float32(0))
        before: FloatArray = x @ weights["W_enc"] + weights["b_enc"]
        if config.architecture == "topk":
            return _largest(before * self._norms if config.rescale_acts_by_decoder_norm else before, config.k)
        after = self._activated(before)
        if config.architecture == "jumprelu":
            after *= before > weights["threshold"]
        return after

    def _activated(self, before: FloatArray) -> FloatArray:
        positive: FloatArray = np.maximum(before, 0)
        return np.asarray(np.tanh(positive), np.float32) if self.config.activation == "tanh-relu" else positive

    def _scale(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What is taken off each state, and what it is then multiplied by: (n, 1), (n, 1)."""
        if self.config.normalize_activations == RESCALED:
            length = np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))
            return np.zeros_like(length), np.float32(self.config.d_in**0.5) / length
        if self.config.normalize_activations == "layer_norm":
            mean = rows.mean(-1, keepdims=True)
            return mean, 1 / (rows.std(-1, ddof=1, keepdims=True) + np.float32(1e-5))
        return np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)


def _largest(before: FloatArray, k: int) -> FloatArray:
    """The k largest of each row (n, d_sae), as far as they are positive; zero for the others."""
    places = np.argpartition(before, -k, axis=1)[:, -k:]
    after = np.zeros_like(before)
    np.put_along_axis(after, places, np.maximum(np.take_along_axis(before, places, 1), 0), 1)
    return after


def _parts(states: FloatArray) -> Iterator[FloatArray]:
    for first in range(0, len(states), _ROWS):
        yield np.asarray(states[first : first + _ROWS], np.float32)
