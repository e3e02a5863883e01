"""The reference backend: torch and transformers, for any decoder that returns hidden states (extra `torch`).

It is slow and exact: what other backends are checked against.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.detector.protocol import ModelSpec, Stage, TokenIds, pad
from alknet_firewall.detector.weights import FolderWeights, GgufWeights, Weights
from alknet_firewall.errors import DetectorError, WeightsError

_NO_PAST = np.zeros((0, 1, 1, 0, 1), np.float32)


class TorchModel:
    """A transformers model cut behind the last tap."""

    backend = "torch"
    precision = "fp32"

    def __init__(self, spec: ModelSpec) -> None:
        """Loads the blocks up to the last tap."""
        import torch

        self._torch = torch
        self._taps = spec.taps
        torch.set_num_threads(spec.threads)
        self._model = _load_decoder(spec.weights, max(spec.taps)).eval()

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        torch = self._torch
        ids = pad(batch)
        lengths = np.array([len(text) for text in batch])
        mask = np.arange(ids.shape[1])[None, :] < lengths[:, None]  # (batch, longest)
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(ids),
                attention_mask=torch.from_numpy(mask.astype(np.int64)),
                output_hidden_states=True,
                use_cache=False,
            )
        # hidden_states[n] is the output of block n: the embedding is number 0. Any family's blocks run in one piece
        # here, so what deeper taps need is at hand and only waits to be asked for.
        return _stage([output.hidden_states[tap].float().numpy() for tap in self._taps])

    def extend(
        self, number: int, new: npt.NDArray[Any], past: npt.NDArray[np.float32] | None
    ) -> tuple[Stage, npt.NDArray[np.float32]]:
        width = new.shape[-1] if number else 0
        if number:  # all was computed at once: the states at deeper taps stand side by side
            hidden = width // (len(self._taps) - number)
            return Stage(new[..., :hidden], new[..., hidden:] if width > hidden else None), _NO_PAST
        from transformers import DynamicCache

        torch, cache = self._torch, DynamicCache()
        length = 0
        if past is not None:
            length = past.shape[3]
            for layer, (keys, values) in enumerate(zip(past[0::2], past[1::2])):
                cache.update(torch.from_numpy(keys), torch.from_numpy(values), layer)
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(new[None].astype(np.int64)),
                output_hidden_states=True,
                past_key_values=cache,
                use_cache=True,
            )
        parts = [
            part[:, :, length:]
            for layer in output.past_key_values.layers
            for part in (layer.keys, layer.values)
        ]
        states = [output.hidden_states[tap].float().numpy() for tap in self._taps]
        carry = np.concatenate(states[1:], axis=-1) if states[1:] else None
        return Stage(states[0], carry), np.stack([part.float().numpy() for part in parts])

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        return _stage([later[rows] for later in stage.carry])


def _stage(states: list[npt.NDArray[np.float32]]) -> Stage:
    return Stage(states[0], states[1:] or None)


class TorchBackend:
    """torch and transformers on the CPU."""

    name = "torch"
    rank = 100
    precisions: tuple[str, ...] = ("fp32",)
    families: tuple[str, ...] | None = None

    def unavailable(self) -> str | None:
        missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(missing)} (extra `torch`)" if missing else None

    def load(self, spec: ModelSpec) -> TorchModel:
        try:
            return TorchModel(spec)
        except ImportError as error:
            raise DetectorError(f"the torch backend needs the extra `torch`: {error}") from error


def _load_decoder(weights: Weights, n_layers: int) -> Any:
    """The decoder without its head, cut behind block `n_layers`, final norm taken out (a tap is a block's output)."""
    from transformers import AutoConfig, AutoModel, LlamaConfig

    shape = weights.architecture
    if n_layers > shape.n_layers:
        raise WeightsError(f"{weights.path}: tap {n_layers} asked of a model of {shape.n_layers} blocks")
    if isinstance(weights, GgufWeights):
        config: Any = LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden_size,
            intermediate_size=shape.mlp_size,
            num_attention_heads=shape.n_heads,
            num_key_value_heads=shape.n_kv_heads,
            head_dim=shape.head_size,
            rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
            rms_norm_eps=shape.norm_eps,
            max_position_embeddings=8192,
        )
    elif isinstance(weights, FolderWeights):
        config = AutoConfig.from_pretrained(weights.path, local_files_only=True, trust_remote_code=False)
    else:
        raise WeightsError(f"{weights.path}: weights of {type(weights).__name__} cannot be loaded by torch")
    setattr(config, "n_layer" if hasattr(config, "n_layer") else "num_hidden_layers", n_layers)
    auto: Any = AutoModel
    model = auto.from_config(config, trust_remote_code=False, dtype="float32")
    _fill(model, weights, n_layers)
    _remove_final_norm(model)
    return model


def _fill(model: Any, weights: Weights, n_layers: int) -> None:
    """Copies the tensors by name; a parameter of the model that the weights lack is an error."""
    import torch

    stored = {
        name.removeprefix("model.").removeprefix("transformer."): name
        for name in weights.tensor_names(n_layers)
    }
    missing = []
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in stored:
                tensor = weights.tensor(stored[name])
                if tuple(tensor.shape) != tuple(parameter.shape):
                    raise WeightsError(
                        f"{weights.path}: {name} has shape {tensor.shape}, expected {tuple(parameter.shape)}"
                    )
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(tensor)))
            elif not _is_final_norm(name):
                missing.append(name)
    if missing:
        raise WeightsError(f"{weights.path}: lacks {len(missing)} tensors, the first is {missing[0]!r}")


def _is_final_norm(name: str) -> bool:
    return name.split(".")[0] in ("norm", "ln_f", "final_layernorm", "final_layer_norm")


def _remove_final_norm(model: Any) -> None:
    # transformers norms the last hidden state; the tap behind the last block is wanted as it leaves the block.
    import torch

    for name, _ in list(model.named_children()):
        if _is_final_norm(name):
            setattr(model, name, torch.nn.Identity())
