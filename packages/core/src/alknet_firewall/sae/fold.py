"""Features of an autoencoder as a codebook reads them: directions, offsets and thresholds on RMS-normalised states.

Exact for standard, jumprelu and gated autoencoders that rescale states themselves (`constant_norm_rescale`, as those
that are trained here). What is approximate elsewhere: an autoencoder of states as they are gets every state at the
typical length at its tap; one with a layer norm gets states whose deviation is 1; and the k largest features of a topk
one become all that lie over one threshold, where k are active on average (as BatchTopK is used, arXiv:2412.06410).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alknet_firewall.sae.config import RESCALED, SAEError
from alknet_firewall.sae.sae import SAE

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Folded:
    """All features of an autoencoder: what a state gives is `before = state . direction + offset`, over a threshold.

    Attributes:
        directions: (d_sae, d_in).
        offsets: (d_sae,).
        thresholds: Not negative, (d_sae,).
    """

    directions: FloatArray
    offsets: FloatArray
    thresholds: FloatArray

    def before(self, states: FloatArray) -> FloatArray:
        """Features of normalised states (n, d_in) before their thresholds, (n, d_sae)."""
        result: FloatArray = states @ self.directions.T + self.offsets
        return result

    def codes(self, states: FloatArray) -> FloatArray:
        """Features of normalised states, (n, d_sae)."""
        before = self.before(states)
        return np.where(before > self.thresholds, before, np.float32(0))


def fold(sae: SAE, sample: FloatArray, length: float) -> Folded:
    """Folds an autoencoder.

    Args:
        sae: Any whose activation is ReLU.
        sample: Normalised states at its tap, (n, d_in), from which the threshold of a topk one is learnt.
        length: Root mean square of the numbers of a typical state at its tap, before it is normalised.

    Raises:
        SAEError: Its activation is `tanh-relu`.
    """
    config, weights = sae.config, sae.weights
    if config.activation != "relu":
        raise SAEError(f"a codebook reads autoencoders with ReLU, not with {config.activation}")
    encoder = weights["W_enc"]
    bias = weights["b_gate"] if config.architecture == "gated" else weights["b_enc"]
    if config.apply_b_dec_to_input:
        bias = bias - weights["b_dec"] @ encoder
    if config.normalize_activations == "layer_norm":
        encoder = encoder - encoder.mean(0)  # a state's mean, taken off, is the direction's mean, taken off
    elif config.normalize_activations != RESCALED:
        encoder = encoder * np.float32(length)
    thresholds = np.zeros(config.d_sae, np.float32)
    if config.architecture == "jumprelu":
        thresholds = np.maximum(weights["threshold"], 0)
    elif config.architecture == "gated":
        # Gate and magnitude are the same product, shifted and scaled: the gate opens where the magnitude passes this.
        scale = np.exp(weights["r_mag"])
        taken = bias - weights["b_gate"]
        encoder, bias = encoder * scale, weights["b_mag"] + taken * scale
        thresholds = np.maximum(weights["b_mag"] - weights["b_gate"] * scale, 0)
    elif config.architecture == "topk":
        if config.rescale_acts_by_decoder_norm:
            norms = np.linalg.norm(weights["W_dec"], axis=1)
            encoder, bias = encoder * norms, bias * norms
        before = sample @ encoder + bias
        lowest = np.partition(before, -config.k, axis=1)[:, -config.k]  # of those that are active, of each state
        thresholds = np.full(config.d_sae, max(float(lowest.mean()), 0.0), np.float32)
    return Folded(
        np.ascontiguousarray(encoder.T, np.float32), np.asarray(bias, np.float32), np.asarray(thresholds, np.float32)
    )
