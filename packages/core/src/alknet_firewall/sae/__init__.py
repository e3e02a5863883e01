"""Sparse autoencoders on the detector's states: read files in the form of SAELens, train new ones."""

from __future__ import annotations

from alknet_firewall.sae.config import ARCHITECTURES, SAEConfig, SAEError
from alknet_firewall.sae.sae import SAE, Quality

__all__ = ["ARCHITECTURES", "SAE", "Quality", "SAEConfig", "SAEError"]
