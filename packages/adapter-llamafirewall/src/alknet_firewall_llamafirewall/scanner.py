"""The scanner: one class for each set of settings, all on the process's one engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from alknet_firewall import (
    Action,
    ConfigError,
    Firewall,
    FirewallConfig,
    describe,
    read_content,
    shared_firewall,
)

_CHANNELS = {"user": "user", "tool": "tool", "assistant": "response", "memory": "document", "system": "user"}
_registered: dict[str, Firewall] = {}


def scanner(
    config: Firewall | FirewallConfig | Mapping[str, Any] | None = None, *, name: str = "alknet-firewall"
) -> str:
    """Loads the firewall, registers it as a scanner and returns the name to put into `LlamaFirewall({...})`.

    Args:
        config: Settings, ready-made or by name as in the TOML file; None: those of the environment. May be a
            firewall of yours instead.
        name: What LlamaFirewall calls the scanner; another set of settings needs another name.

    Raises:
        ConfigError: A setting is unknown or not allowed, or the name belongs to another scanner.
        AlknetFirewallError: The engine cannot be loaded.
    """
    # Imported on the call: the package is also imported where only its plugin is wanted, without the host.
    from llamafirewall import (
        Message,
        ScanDecision,
        Scanner,
        ScanResult,
        Trace,
        register_llamafirewall_scanner,
    )
    from llamafirewall.llamafirewall import custom_scanner_registry
    from llamafirewall.llamafirewall_data_types import ScanStatus

    decisions = {
        Action.ALLOW: ScanDecision.ALLOW,
        Action.REVIEW: ScanDecision.HUMAN_IN_THE_LOOP_REQUIRED,
        Action.BLOCK: ScanDecision.BLOCK,
    }
    firewall = shared_firewall(config)
    if name in custom_scanner_registry:
        if _registered.get(name) is firewall:
            return name
        raise ConfigError(
            f"LlamaFirewall has another scanner {name!r} already; give this one its own: name=..."
        )

    class FirewallScanner(Scanner):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:  # LlamaFirewall makes one for every message, so it must cost nothing
            super().__init__(name)

        async def scan(self, message: Message, past_trace: Trace | None = None) -> ScanResult:
            # Apart, so that neither a long message nor long arguments dilute the other.
            contents = [read_content(message.content), read_content(message.tool_calls)]
            texts = [content.text for content in contents]
            channel = _CHANNELS[message.role.value]
            verdicts = await asyncio.to_thread(
                firewall.screen_many, texts if texts[1] else texts[:1], channel
            )
            worst = max(verdicts, key=lambda verdict: (verdict.action.severity, verdict.score))
            without_text = [kind for content in contents for kind in content.without_text]
            return ScanResult(
                decision=decisions[worst.action],
                reason=describe(worst, without_text),
                score=worst.score,
                status=ScanStatus.SUCCESS if worst.error is None else ScanStatus.ERROR,
            )

    register_llamafirewall_scanner(name)(FirewallScanner)
    _registered[name] = firewall
    return name
