"""The text room: plain strings and offsets, before any model sees them."""

from __future__ import annotations

from alknet_firewall.text.normalise import NormalisedText, normalise
from alknet_firewall.text.windows import slices, window_bounds

__all__ = ["NormalisedText", "normalise", "slices", "window_bounds"]
