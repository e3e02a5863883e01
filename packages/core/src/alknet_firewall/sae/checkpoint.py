"""What a training needs to go on, as safetensors: tensors, the optimizer's moments, where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from alknet_firewall.detector.cache import write_atomically
from alknet_firewall.sae.config import SAEError
from alknet_firewall.sae.module import TorchSAE

if TYPE_CHECKING:
    from alknet_firewall.sae.train import TrainSettings

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is.

    Attributes:
        step: Updates done.
        idle: States since each feature was last active, (d_sae,).
        curve: Points of the loss curve.
    """

    step: int
    idle: npt.NDArray[np.int64]
    curve: list[list[float]]


def save_checkpoint(
    path: Path, model: TorchSAE, optimizer: torch.optim.Optimizer, settings: TrainSettings, done: Checkpoint
) -> None:
    """Writes a checkpoint.

    Raises:
        SAEError: It cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {"idle": torch.from_numpy(done.idle)}
    for name, parameter in model.named_parameters():
        tensors[name] = parameter.detach().cpu().contiguous()
        for moment in _MOMENTS:
            tensors[f"{name}.{moment}"] = optimizer.state[parameter][moment].detach().cpu().reshape(-1).clone()
    told = {"settings": _told(settings), "step": done.step, "curve": done.curve}
    try:
        write_atomically(path, save(tensors, {"training": json.dumps(told)}))
    except OSError as error:
        raise SAEError(f"{path}: cannot be written ({error.strerror})") from error


def load_checkpoint(
    path: Path, model: TorchSAE, optimizer: torch.optim.Optimizer, settings: TrainSettings
) -> Checkpoint | None:
    """Puts a checkpoint into model and optimizer; None if there is none.

    Raises:
        SAEError: It is damaged, or of a training with other settings.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()["training"])
            if told["settings"] != _told(settings):
                raise SAEError(f"{path}: is of a training with other settings; delete it, or choose another folder")
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(file.get_tensor(name))
                    moments = [file.get_tensor(f"{name}.{moment}") for moment in _MOMENTS]
                    average, square = (part.view_as(parameter).to(parameter.device) for part in moments[:2])
                    optimizer.state[parameter] = {"exp_avg": average, "exp_avg_sq": square, "step": moments[2][0]}
            return Checkpoint(int(told["step"]), file.get_tensor("idle").numpy(), told["curve"])
    except (SafetensorError, LookupError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise SAEError(f"{path}: damaged; delete it, and training starts anew ({error})") from error


def _told(settings: TrainSettings) -> dict[str, Any]:
    """The settings that the result depends on."""
    return {name: value for name, value in asdict(settings).items() if name not in ("checkpoint_every", "device")}
