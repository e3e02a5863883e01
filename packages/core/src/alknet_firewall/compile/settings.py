"""What can be chosen when a codebook is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alknet_firewall.codebook.codebook import Window


@dataclass(frozen=True)
class CompileSettings:
    """Choices for a codebook; the defaults are those of the bundled one (docs/decisions say why).

    Attributes:
        taps: 1-based blocks whose output is read.
        cascade: Share of benign windows that are read on from a tap to the next; None to read every window at all.
        basis: `learned` (attention heads over tokens), `contrastive`, `svd`, `linear` (one direction, of a probe) or
            `sae` (features of autoencoders).
        readouts: What is read beside the heads (learned), or at all (svd, contrastive): `template_end`, `mean`, `last`.
        directions: Heads a behavior and tap (learned), or directions a readout and tap.
        peaks: Directions a behavior and tap that read the strongest run of tokens (learned).
        members: How often heads and peaks are trained, each time from another start; all of them are kept (learned).
        window: How text is cut.
        stretch: Tokens of the stretches of a window that states are read in; 0 for windows as a whole.
        words: Whether there is a lexical readout.
        buckets: Size of its table.
        rows_per_source: At most so many rows of a source, label and channel.
        windows_per_text: At most so many windows of a text, those with the payload first where it is known.
        composed: How many rows each generator composes; none if empty.
        composed_weight: Weight of all composed rows together, relative to all others together.
        related: Whether sources that share passages are left out together.
        folds: Parts that the sources are divided into, each left out once.
        epochs: Passes over the data when heads are learned.
        seed: Of everything random.
    """

    taps: tuple[int, ...] = (8, 16)
    cascade: float | None = 0.1
    basis: str = "learned"
    readouts: tuple[str, ...] = ("template_end",)
    directions: int = 8
    peaks: int = 2
    members: int = 2
    window: Window = Window(192, 32)
    stretch: int = 48
    words: bool = True
    buckets: int = 1 << 18
    rows_per_source: int = 150
    windows_per_text: int = 4
    composed: Mapping[str, int] = field(
        default_factory=lambda: {
            "injections": 6000,
            "jailbreaks": 7000,
            "benign": 2500,
            "benign_documents": 2500,
            "excerpts": 1500,
            "lookalikes": 6000,
            "status": 1200,
            "summons": 2400,
            "tasks": 5000,
            "user_prompts": 5000,
            "usual": 4000,
            "world": 5600,
            "worn": 3000,
        }
    )
    composed_weight: float = 0.5
    related: bool = True
    folds: int = 5
    epochs: int = 3
    seed: int = 0
