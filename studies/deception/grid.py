"""The 54 autoencoders: 9 layers, 2 architectures, 3 kinds of text that they are trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from reading import LAYERS, Tokens
from texts import Text

from alknet_firewall.sae import SAE
from alknet_firewall.sae.train import TrainSettings, train_sae

ARCHITECTURES = ("topk", "jumprelu")
CONDITIONS = ("mixed", "deceptive_only", "honest_only")
TOKENS = 40_000
"""Token states that each autoencoder is trained on, at most; the same number in each condition."""
STEPS = 300
BATCH = 256


@dataclass(frozen=True)
class Cell:
    """One of the 54."""

    layer: int
    architecture: str
    condition: str

    @property
    def name(self) -> str:
        """As the published files are named."""
        return f"smollm2_{self.architecture}_L{self.layer}_{self.condition}"


CELLS = tuple(Cell(layer, a, c) for layer in LAYERS for a in ARCHITECTURES for c in CONDITIONS)


def train_grid(texts: Sequence[Text], tokens: Tokens, folder: Path) -> None:
    """Trains those that are not in `folder` yet.

    Args:
        texts: Those for training.
        tokens: Their states.
        folder: A folder for each autoencoder.
    """
    lie = np.repeat([text.deceptive for text in texts], np.diff(tokens.start))
    drawn = dict(zip(CONDITIONS, _drawn(lie)))
    for layer in LAYERS:
        cells = [cell for cell in CELLS if cell.layer == layer and not (folder / cell.name / "cfg.json").is_file()]
        if not cells:
            continue
        states = tokens.layer(layer)
        for cell in cells:
            settings = TrainSettings(
                architecture=cell.architecture, steps=STEPS, batch=BATCH, dead_after=10_000, bf16=True,
                checkpoint_every=100,
            )  # fmt: skip
            place = folder / cell.name
            sae, curve = train_sae(
                states[drawn[cell.condition]], settings, hook_name=f"model.layers.{layer}",
                checkpoint=place / "checkpoint.safetensors",
            )  # fmt: skip
            (place / "training.json").write_text(json.dumps([asdict(point) for point in curve]), encoding="utf-8")
            sae.save(place)
            (place / "checkpoint.safetensors").unlink()
            last = curve[-1]
            print(f"{cell.name}: lost {last.lost:.3f}, active {last.active:.0f}, dead {last.dead:.3f}", flush=True)


def load(cell: Cell, folder: Path) -> SAE:
    """One that was trained."""
    return SAE.load(folder / cell.name)


def _drawn(lie: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.intp]]:
    """For each condition which tokens are trained on."""
    generator = np.random.default_rng(0)
    deceptive, honest = (generator.permutation(np.flatnonzero(lie == side)) for side in (True, False))
    count = min(TOKENS, len(deceptive), len(honest))
    yield np.concatenate([deceptive[: count // 2], honest[: count // 2]])
    yield deceptive[:count]
    yield honest[:count]
