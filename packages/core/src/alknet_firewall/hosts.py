"""What host adapters share: what one tells of itself, one engine a process, and a verdict in words."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alknet_firewall.verdict import Action, Alarm, Verdict

if TYPE_CHECKING:
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.firewall import Firewall

_DONE = {Action.ALLOW: "allowed", Action.REVIEW: "held for review", Action.BLOCK: "blocked"}
_firewalls: dict[str, Firewall] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Host:
    """A framework that an adapter wires the firewall into; plugins return these from `alknet_firewall_hosts`.

    Attributes:
        name: The adapter's short name, e.g. `nemo`.
        package: The framework's distribution on PyPI, whose version `doctor` shows.
        wiring: One sentence: how the adapter is switched on.
        probe: Screens a text through the host's own machinery with the given firewall, and says whether it
            was stopped. Imports the host; called only by `doctor`.
    """

    name: str
    package: str
    wiring: str
    probe: Callable[[Firewall, str], Awaitable[bool]]


def shared_firewall(config: Firewall | FirewallConfig | Mapping[str, Any] | None = None) -> Firewall:
    """The process's one firewall with these settings, loaded: some hosts make their parts again and again.

    Args:
        config: Settings, ready-made or by name as in the TOML file; None: those of the environment.
            A firewall is loaded and returned as it is.

    Raises:
        ConfigError: A key is unknown or a value is not allowed; the message names the key.
        AlknetFirewallError: Something cannot be loaded; the message says what. It is tried again next time.
    """
    # Imported on the call: a host is described, and discovered, without numpy or pydantic.
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.firewall import Firewall

    if isinstance(config, Firewall):
        return config.warm_up()
    if not isinstance(config, FirewallConfig):
        config = FirewallConfig(**(config or {}))
    key = f"{config.model_dump_json()} {config.state_key}"  # no dump holds the secret
    with _lock:  # held while loading, so that two threads do not load the same engine twice
        if key not in _firewalls:
            _firewalls[key] = Firewall(config).warm_up()
        return _firewalls[key]


def describe(verdict: Verdict, without_text: Sequence[str] = ()) -> str:
    """One sentence on a verdict, for logs and users: behaviors and character offsets, never the text.

    Args:
        verdict: What screening answered.
        without_text: Kinds of content that had no text to screen, as `read_content` lists them.
    """
    reasons = [_alarm(alarm) for alarm in verdict.alarms if alarm.action is not Action.ALLOW]
    if verdict.error is not None:  # the message of an exception may quote the text: its kind alone is safe
        reasons.append(f"screening failed with {verdict.error.partition(':')[0]}")
    if verdict.truncated:
        reasons.append(f"only the first {verdict.tokens} tokens were read")
    if without_text:
        reasons.append(f"not screened, as without text: {', '.join(dict.fromkeys(without_text))}")
    why = "; ".join(reasons) or "no alarm"
    return f"alknet-firewall: {verdict.channel} text {_DONE[verdict.action]} ({why})."


def _alarm(alarm: Alarm) -> str:
    where = "" if alarm.span is None else f" at characters {alarm.span.start} to {alarm.span.end}"
    undone = "" if alarm.decoded is None else f", written as {alarm.decoded}"
    return f"{alarm.behavior}{where}{undone}, false-alarm rate {alarm.false_alarm_rate:.2g}"
