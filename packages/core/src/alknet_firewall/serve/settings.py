"""What the server is told: limits, keys, what it writes down. How texts are judged stands in `FirewallConfig`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from alknet_firewall.errors import ConfigError
from alknet_firewall.serve.keys import ApiKeys
from alknet_firewall.verdict import CHANNELS

PREFIX = "ALKNET_SERVE_"
"""Of the environment variables that `from_environment` reads."""

_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of the server.

    Attributes:
        keys: Who may ask; none: anybody who can connect.
        max_bytes: Largest body of a request, and largest message of a WebSocket, in bytes.
        max_texts: Texts in one request, at most.
        max_in_flight: Requests that may be at work at a time; more are refused at once.
        max_streams: Streams that may be open at a time.
        max_stream_bytes: Longest text of one stream, in bytes of UTF-8.
        deadline_ms: Milliseconds that a request may take from when it has been read; None: what the firewall's own
            settings say.
        read_seconds: Seconds in which the body of a request has to arrive.
        idle_seconds: Seconds that a stream may be silent.
        ext_authz_channel: The channel as which bodies are screened for a proxy.
        playground: Whether the page for trying things out is served.
        local_names_only: Whether those are refused who ask by another name than localhost, as strangers' pages may;
            `run.serve` sets it where there is no key on a loopback address.
        otel: Whether traces and metrics go to OpenTelemetry.
        audit_log: File that every verdict is written to, as JSON lines.
        audit_text: Whether the texts are written there, too.

    Raises:
        ConfigError: A value is not allowed; the message names it.
    """

    keys: ApiKeys = field(default_factory=ApiKeys)
    max_bytes: int = 1 << 20
    max_texts: int = 1024
    max_in_flight: int = 256
    max_streams: int = 256
    max_stream_bytes: int = 64 << 20
    deadline_ms: float | None = 30_000.0
    read_seconds: float = 30.0
    idle_seconds: float = 300.0
    ext_authz_channel: str = "user"
    playground: bool = False
    local_names_only: bool = False
    otel: bool = False
    audit_log: Path | None = None
    audit_text: bool = False

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_texts", "max_in_flight", "max_streams", "max_stream_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: should be at least 1")
        for name in ("deadline_ms", "read_seconds", "idle_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} = {value}: should be a time above 0")
        if self.ext_authz_channel not in CHANNELS:
            raise ConfigError(f"ext_authz_channel: should be one of {', '.join(CHANNELS)}")
        if self.audit_text and self.audit_log is None:
            raise ConfigError(
                "audit_text: there is no audit log to write the texts to; set audit_log as well"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> ServeSettings:
        """Settings from `ALKNET_SERVE_MAX_BYTES` and the like, and `ALKNET_SERVE_API_KEYS` or `..._API_KEY_FILE`.

        Raises:
            ConfigError: A variable is unknown or has a bad value; the message names it.
        """
        return cls(**read_environment(environment))


def read_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What the variables say, by name of the setting; an empty variable counts as not set.

    Raises:
        ConfigError: As `ServeSettings.from_environment`.
    """
    kinds = {own.name: str(own.type) for own in fields(ServeSettings) if own.name != "keys"}
    values: dict[str, Any] = {}
    keys: list[ApiKeys] = []
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or not text:
            continue
        if name == "api_keys":
            keys.append(ApiKeys.read(text.replace(",", "\n"), variable))
        elif name == "api_key_file":
            keys.append(ApiKeys.from_file(Path(text)))
        elif name in kinds:
            values[name] = _value(variable, kinds[name], text)
        else:
            known = ", ".join(PREFIX + known.upper() for known in ["api_keys", "api_key_file", *kinds])
            raise ConfigError(f"environment variable {variable}: there is no such setting; there are {known}")
    if keys:
        values["keys"] = ApiKeys(tuple(digest for some in keys for digest in some.digests))
    return values


def _value(variable: str, kind: str, text: str) -> object:
    try:
        if kind.startswith("bool"):
            return _TRUTH[text.lower()]
        if kind.startswith("Path"):
            return Path(text)
        if kind.startswith("str"):
            return text
        if kind.endswith("None") and text.lower() == "none":
            return None
        return int(text) if kind.startswith("int") else float(text)
    except (KeyError, ValueError):
        wanted = "true or false" if kind.startswith("bool") else "a number"
        raise ConfigError(f"environment variable {variable}: should be {wanted}") from None
