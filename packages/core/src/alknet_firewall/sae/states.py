"""Residual states of texts, as they leave the detector's blocks: what sparse autoencoders are trained on and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.batches import framed_batches
from alknet_firewall.detector.detector import Detector
from alknet_firewall.detector.protocol import TokenIds
from alknet_firewall.detector.tokenizer import Template

FloatArray = npt.NDArray[np.float32]

_GATHERED = 64  # texts that are sorted by length before they are put into batches


def residual_states(
    detector: Detector, texts: Sequence[TokenIds], template: Template | None = None
) -> Iterator[tuple[int, dict[int, FloatArray]]]:
    """Runs texts through the detector.

    Args:
        detector: Its taps are read.
        texts: Token ids without a template, each of one token at least.
        template: What stands around each text; the detector's own frame by default. `Template()` reads the ids as
            they are.

    Yields:
        The number of a text, and by tap the states of its own tokens, (n_tokens, hidden), not normalised. Within a
        group of 64 texts the longest come first.
    """
    frame = detector.tokenizer.template if template is None else template
    before = len(frame.prefix)
    for first in range(0, len(texts), _GATHERED):
        here = texts[first : first + _GATHERED]
        for places, batch in framed_batches(here, frame):
            states = detector.hidden_states(batch)
            for row, place in enumerate(places):
                own = slice(before, before + len(here[place]))
                yield first + place, {tap: states[tap][row, own].astype(np.float32) for tap in detector.taps}
