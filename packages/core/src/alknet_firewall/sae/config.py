"""What `cfg.json` of SAELens says, versions 3 to 6 in one form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alknet_firewall import files
from alknet_firewall.errors import AlknetFirewallError
from alknet_firewall.files import parse_json, read_bounded

ARCHITECTURES = ("standard", "topk", "jumprelu", "gated")
NORMALISATIONS = (
    "none", "layer_norm", "constant_norm_rescale", "expected_average_only_in", "covariance_whitening"
)  # fmt: skip
"""How a state is scaled first; the last two are folded into the weights when a file is written, and do nothing."""
RESCALED = "constant_norm_rescale"
"""Every state is brought to the length that RMSNorm gives it: what a codebook reads."""

_VERSION = "6.0.0"  # of the form that is written
_LARGEST = 1 << 20  # features, width; and bytes of cfg.json
_LONGEST_NAME = 200
_TAPS = (
    (re.compile(r"(?:model\.)?layers\.(\d+)(?:\.hook_resid_post)?"), 1),
    (re.compile(r"blocks\.(\d+)\.hook_resid_post"), 1),
    (re.compile(r"(?:blocks|model\.layers)\.(\d+)\.hook_resid_pre"), 0),  # what goes into a block left the one before
)
_KEPT = ("sae_lens_version", "model_name", "hook_layer", "dataset_path", "context_size", "prepend_bos")
_RENAMED = {"hook_point": "hook_name", "activation_fn_str": "activation_fn", "hook_point_layer": "hook_layer"}


class SAEError(AlknetFirewallError):
    """A sparse autoencoder is missing, damaged, of a kind that cannot be read, or made for another model."""


@dataclass(frozen=True)
class SAEConfig:
    """A sparse autoencoder's settings.

    Attributes:
        architecture: One of `ARCHITECTURES`.
        d_in: Width of the states that it reads.
        d_sae: Number of its features.
        k: Features that may be active at once (topk); 0 for the others.
        apply_b_dec_to_input: Whether the decoder's bias is taken off a state before it is encoded.
        normalize_activations: One of `NORMALISATIONS`.
        rescale_acts_by_decoder_norm: Whether features are ranked and told by what they add to the output (topk).
        activation: `relu`, or `tanh-relu` of SAELens 3 to 5.
        finetuned: Whether codes are scaled by a tensor of the file before they are decoded (SAELens 3 to 5).
        hook_name: Where its states were taken; empty if the file does not say.
        metadata: Whatever else the file says of its origin.
    """

    architecture: str
    d_in: int
    d_sae: int
    k: int = 0
    apply_b_dec_to_input: bool = True
    normalize_activations: str = "none"
    rescale_acts_by_decoder_norm: bool = False
    activation: str = "relu"
    finetuned: bool = False
    hook_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tap(self) -> int:
        """The tap that it reads: block i, counted from 0, is tap i + 1.

        Raises:
            SAEError: The hook is not a place in the residual stream behind a block, or none is named.
        """
        for pattern, further in _TAPS:
            found = pattern.fullmatch(self.hook_name)
            if found and int(found.group(1)) + further > 0:
                return int(found.group(1)) + further
        raise SAEError(
            f"hook {self.hook_name!r} names no tap; expected model.layers.N, model.layers.N.hook_resid_post or "
            "blocks.N.hook_resid_post with N counted from 0"
        )

    def check_model(self, width: int, n_layers: int) -> None:
        """Checks that it belongs to a model.

        Args:
            width: Hidden size of the model.
            n_layers: Its blocks.

        Raises:
            SAEError: The widths differ, or it reads behind the last block.
        """
        if self.d_in != width:
            raise SAEError(f"the autoencoder reads states of {self.d_in} numbers, the detector gives {width}")
        if self.tap > n_layers:
            raise SAEError(f"hook {self.hook_name!r} is tap {self.tap}; the detector has {n_layers} blocks")

    def to_dict(self) -> dict[str, Any]:
        """The contents of `cfg.json` in the form of SAELens 6."""
        told: dict[str, Any] = {
            "architecture": self.architecture,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": self.apply_b_dec_to_input,
            "normalize_activations": self.normalize_activations,
            "reshape_activations": "none",
            "metadata": {"sae_lens_version": _VERSION, **self.metadata, "hook_name": self.hook_name},
        }
        if self.architecture == "topk":
            told |= {"k": self.k, "rescale_acts_by_decoder_norm": self.rescale_acts_by_decoder_norm}
        return told


def read_config(path: Path) -> SAEConfig:
    """Reads `cfg.json`.

    Raises:
        SAEError: It is missing, not JSON, or has a setting that is unknown or cannot be honoured.
    """
    try:
        told = parse_json(read_bounded(path, _LARGEST))
    except (OSError, ValueError) as error:
        raise SAEError(f"{path}: cannot be read ({files.told(error)})") from error
    if not isinstance(told, dict):
        raise SAEError(f"{path}: expected a JSON object")
    try:
        return parse_config(told)
    except SAEError as error:
        raise SAEError(f"{path}: {error}") from error


def parse_config(told: Mapping[str, Any]) -> SAEConfig:
    """Reads the contents of a `cfg.json` of SAELens 3 to 6.

    Raises:
        SAEError: A setting is missing, unknown or cannot be honoured.
    """
    metadata = told.get("metadata")
    settings = {_RENAMED.get(str(key), str(key)): value for key, value in told.items()}
    known = {**settings, **metadata} if isinstance(metadata, dict) else settings
    kwargs = settings.get("activation_fn_kwargs")
    k = settings.get("k", kwargs.get("k") if isinstance(kwargs, dict) else None)
    activation = settings.get("activation_fn") or "relu"
    architecture = settings.get("architecture", "standard")  # older files do not say
    if activation == "topk":
        architecture, activation = "topk", "relu"
    _one_of("architecture", architecture, ARCHITECTURES)
    _one_of("activation_fn", activation, ("relu", "tanh-relu"))
    normalisation = settings.get("normalize_activations")
    if normalisation is None or normalisation is False:
        normalisation = "none"
    elif normalisation is True:
        normalisation = "expected_average_only_in"
    _one_of("normalize_activations", normalisation, NORMALISATIONS)
    _one_of("reshape_activations", settings.get("reshape_activations") or "none", ("none",))
    d_in, d_sae = _size(settings, "d_in"), _size(settings, "d_sae")
    if architecture == "topk" and not (isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= d_sae):
        raise SAEError(f"k is {repr(k)[:40]}; a topk autoencoder of {d_sae} features needs 1 to {d_sae}")
    rescale = _switch(settings, "rescale_acts_by_decoder_norm", False)
    return SAEConfig(
        architecture=architecture,
        d_in=d_in,
        d_sae=d_sae,
        k=int(k) if architecture == "topk" and k is not None else 0,
        apply_b_dec_to_input=_switch(settings, "apply_b_dec_to_input", True),
        normalize_activations=normalisation,
        rescale_acts_by_decoder_norm=architecture == "topk" and rescale,
        activation=activation,
        finetuned=_switch(settings, "finetuning_scaling_factor", False),
        hook_name=str(known.get("hook_name") or "")[:_LONGEST_NAME],
        metadata={key: value for key, value in known.items() if key in _KEPT},
    )


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SAEError(f"{name} is {str(value)[:40]!r}; readable are {', '.join(choices)}")


def _size(settings: Mapping[str, Any], name: str) -> int:
    value = settings.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST:
        raise SAEError(f"{name} is {str(value)[:40]!r}; expected a number from 1 to {_LARGEST}")
    return value


def _switch(settings: Mapping[str, Any], name: str, default: bool) -> bool:
    value = settings.get(name, default)
    if not isinstance(value, bool):
        raise SAEError(f"{name} is {str(value)[:40]!r}; expected true or false")
    return value
