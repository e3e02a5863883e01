"""The settings of a firewall, from files, environment and arguments; an error names its place and remedy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from alknet_firewall import config_sources
from alknet_firewall.config_sources import Keys, Source
from alknet_firewall.errors import ConfigError

if TYPE_CHECKING:
    from alknet_firewall.codebook.signature import Trust

_MOST_TOLD = 4  # problems at once
_LONGEST_VALUE_SHOWN = 80


class _Settings(BaseModel):
    """Frozen, without unknown keys; raises `ConfigError` where pydantic would raise its own error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, *sources: Source, **arguments: Any) -> None:
        layers = [*sources, config_sources.read_arguments(arguments)]
        try:
            super().__init__(**config_sources.merged(layers))
        except ValidationError as error:
            # "from None" hides pydantic's error from tracebacks; it stays in __context__ for a model around.
            problems = _explain(type(self), error, layers, ())
            more = [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
            raise ConfigError("\n".join([*problems[:_MOST_TOLD], *more])) from None

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic would read `true` as 1: a false-alarm rate of 100 %.
        if isinstance(value, bool) and info.field_name != "allow_moving_revision":
            raise ValueError("should not be true or false")
        return value


class BehaviorSettings(_Settings):
    """What to do about one behavior.

    Attributes:
        block: False-alarm rate in (0, 1] up to which an alarm blocks; None: `block_false_alarm_rate`.
        review: False-alarm rate in (0, 1] up to which an alarm asks for review, at least `block`; None:
            `review_false_alarm_rate`.
        action: The strictest thing that an alarm may do; `off` raises none. None: the behavior's own default.
    """

    block: float | None = Field(None, gt=0, le=1)
    review: float | None = Field(None, gt=0, le=1)
    action: Literal["block", "review", "inform", "off"] | None = None

    @field_validator("review")
    @classmethod
    def _review_is_milder(cls, review: float | None, info: ValidationInfo) -> float | None:
        return _at_least(review, "block", info)


class FirewallConfig(_Settings):
    """The settings of a `Firewall`.

    `FirewallConfig(...)` takes the arguments and, for what they leave open, the environment
    (`ALKNET_FIREWALL_MAX_TOKENS`, in tables `ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION`). It reads no file:
    see `from_file` and `discover`.

    Attributes:
        codebook: File of the codebook; None: the bundled one.
        weights: A GGUF file, a folder, or `hub:OWNER/NAME@COMMIT`; None: the default weights.
        allow_moving_revision: Whether a hub repository may be named by branch or tag.
        signer: Public keys (64 hex digits each), one of which must have signed the codebook, the bundled one
            included; None: no signature is demanded.
        min_serial: The lowest serial number of a signed codebook that is accepted; None: any.
        not_before: The earliest date of signing that is accepted; None: any.
        backend: Name of the detector's backend, or `auto`.
        precision: What the detector computes in, or `auto`.
        threads: Threads that one screening may use; None: the cores that this process may use.
        max_tokens: Longest text, in tokens, that is screened whole whatever `on_long` says.
        on_long: For longer text: screen all of it, or read only `max_tokens` and ask for review, or block.
        on_error: The action after a fault while screening; `raise` passes the exception on.
        block_false_alarm_rate: Share of benign text, in (0, 1], that may be blocked.
        review_false_alarm_rate: Share of benign text, up to 1, that may be flagged at all; at least as above.
        behaviors: Settings by name of the behavior.
        batch_wait_ms: How long, in ms, a text given to `screen_async` may wait for others to be screened with it.
        max_waiting: Texts that may wait in `screen_async`; the answer to more is that of `on_error`, at once.
        deadline_ms: How long, in ms, a call of `screen`, `screen_many` or `screen_async` may take, waiting included;
            what has no verdict by then gets that of `on_error`. None: as long as it takes.
        cache_verdicts: Verdicts kept for texts that come again, by hash; 0: none.
        stream_memory_mb: What all streams together may keep of the windows they are reading, in MB; beyond it those
            that were idle for longest read their window anew when they go on.
        state_key: Secret of at least 16 characters that states of conversations are authenticated with; None: they
            carry a checksum only.
        plugins: Entry points to load in addition to the built-in ones; None: all that are installed.

    Raises:
        ConfigError: A key is unknown or a value is not allowed.
    """

    codebook: Path | None = None
    weights: str | None = None
    allow_moving_revision: bool = False
    signer: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] | None = Field(None, min_length=1)
    min_serial: int | None = Field(None, ge=0)
    not_before: date | None = None
    backend: str = "auto"
    precision: str = "auto"
    threads: int | None = Field(None, ge=1)
    max_tokens: int = Field(32_768, ge=16)
    on_long: Literal["screen_all", "review", "block"] = "review"
    on_error: Literal["block", "review", "allow", "raise"] = "block"
    block_false_alarm_rate: float = Field(0.01, gt=0, le=1)
    review_false_alarm_rate: float = Field(0.02, gt=0, le=1, validate_default=True)
    behaviors: dict[str, BehaviorSettings] = {}
    batch_wait_ms: float = Field(0.0, ge=0, le=1000)
    max_waiting: int = Field(1024, ge=1)
    deadline_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    cache_verdicts: int = Field(0, ge=0)
    stream_memory_mb: float = Field(256.0, ge=0, allow_inf_nan=False)
    state_key: str | None = Field(None, min_length=16, repr=False, exclude=True)
    plugins: tuple[str, ...] | None = None

    def __init__(self, /, *sources: Source, **arguments: Any) -> None:
        """Validates everything at once.

        Args:
            sources: Files that were read already, the weakest first.
            arguments: Settings by name; they win over the environment, which wins over files.
        """
        behaviors = arguments.get("behaviors")
        if isinstance(behaviors, Mapping):  # settings made by the caller are merged as tables are
            arguments["behaviors"] = {
                name: value.model_dump(exclude_unset=True) if isinstance(value, BehaviorSettings) else value
                for name, value in behaviors.items()
            }
        super().__init__(*sources, config_sources.read_environment(os.environ), **arguments)

    @field_validator("review_false_alarm_rate")
    @classmethod
    def _review_is_milder(cls, review: float, info: ValidationInfo) -> float | None:
        return _at_least(review, "block_false_alarm_rate", info)

    @field_validator("signer", mode="before")
    @classmethod
    def _several_signers(cls, signer: Any) -> Any:
        return tuple(signer.lower().replace(",", " ").split()) if isinstance(signer, str) else signer

    @field_validator("min_serial", "not_before")
    @classmethod
    def _of_a_signature(cls, value: Any, info: ValidationInfo) -> Any:
        # Without a signer anybody could write a later number or date into the file.
        if value is not None and info.data.get("signer") is None and "signer" in info.data:
            raise PydanticCustomError("alone", "needs `signer`, the public key that the codebook is signed with")
        return value

    @property
    def trust(self) -> Trust | None:
        """Whose signature a codebook needs; None: nobody's."""
        from alknet_firewall.codebook.signature import Trust  # settings are read without numpy

        return None if self.signer is None else Trust(self.signer, self.min_serial, self.not_before)

    @classmethod
    def from_file(cls, path: str | Path, **arguments: Any) -> FirewallConfig:
        """Settings from a TOML file (of a `pyproject.toml` its table `[tool.alknet-firewall]`).

        Environment and `arguments` win over the file; relative paths in the file are relative to the file.

        Raises:
            ConfigError: The file cannot be read or is not TOML; a key is unknown; a value is not allowed.
        """
        return cls(config_sources.read_file(path), **arguments)

    @classmethod
    def discover(cls, **arguments: Any) -> FirewallConfig:
        """Settings from the files in the working directory, where there are any.

        `[tool.alknet-firewall]` of `pyproject.toml`, then `alknet-firewall.toml`, then environment, then
        `arguments`: the later wins. For programs that a person starts in a folder of theirs, such as the
        command line; a library should not obey files that happen to lie in the working directory.

        Raises:
            ConfigError: As `from_file`.
        """
        return cls(*config_sources.read_folder(Path()), **arguments)


def _at_least(value: float | None, other: str, info: ValidationInfo) -> float | None:
    least = info.data.get(other)
    if value is not None and least is not None and value < least:
        raise PydanticCustomError("order", f"should be at least {least}", {"because_of": other})
    return value


def _explain(
    model: type[BaseModel], failure: ValidationError, sources: Sequence[Source], above: Keys
) -> list[str]:
    """One line for each error: where the value came from, the key, the value, and what is allowed."""
    lines: list[str] = []
    for error in failure.errors():
        keys = above + tuple(key for key in error["loc"] if key != "[key]")
        cause = error.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError) and isinstance(cause.__context__, ValidationError):
            lines += _explain(BehaviorSettings, cause.__context__, sources, keys)
            continue
        origin = _origin(sources, keys)
        if error["type"] == "extra_forbidden":
            advice = _nearest(model, keys, origin)
            told = any(line.endswith(advice) for line in lines)  # a list of all keys: once is enough
            lines.append(f"{origin.name(keys)}: unknown key" + ("" if told else f"; {advice}"))
        else:
            allowed = _allowed(error) + _partner(error, sources, keys)
            shown = "..." if keys[-1:] == ("state_key",) else _short(error["input"])  # a secret
            lines.append(f"{origin.name(keys)} = {shown}: {allowed}")
    return lines


def _origin(sources: Sequence[Source], keys: Keys) -> Source:
    """The source that sets `keys`, the strongest if several do."""
    return next((source for source in reversed(sources) if source.holds(keys)), Source("default", {}))


def _nearest(model: type[BaseModel], keys: Keys, origin: Source) -> str:
    valid = list(model.model_fields)
    near = get_close_matches(str(keys[-1]).lower().replace("-", "_"), valid, n=1)
    if near:
        return f"did you mean {origin.spelling((*keys[:-1], near[0]))}?"
    return f"the keys here are {', '.join(valid)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else text[: _LONGEST_VALUE_SHOWN - 3] + "..."


def _allowed(error: ErrorDetails) -> str:
    if error["type"] in ("dict_type", "model_type"):
        return "should be a table"
    cause = error.get("ctx", {}).get("error")
    return str(cause) if cause is not None else error["msg"].removeprefix("Input ")


def _partner(error: ErrorDetails, sources: Sequence[Source], keys: Keys) -> str:
    """The setting that a value is at odds with: the value itself may be a default."""
    partner = error.get("ctx", {}).get("because_of")
    if partner is None:
        return ""
    keys = (*keys[:-1], partner)
    return f" ({_origin(sources, keys).name(keys)})"
