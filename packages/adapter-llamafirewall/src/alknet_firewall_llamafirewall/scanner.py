"""The scanner: one class for each set of settings, all on the process's one engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import alknet_firewall as core
from alknet_firewall_llamafirewall.trace import Traces

_DECISIONS = {"allow": "allow", "review": "human_in_the_loop_required", "block": "block"}
_registered: dict[str, core.Firewall] = {}


def scanner(
    config: core.Firewall | core.FirewallConfig | Mapping[str, Any] | None = None,
    *,
    name: str = "alknet-firewall",
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
    import llamafirewall as host
    from llamafirewall.llamafirewall import custom_scanner_registry
    from llamafirewall.llamafirewall_data_types import ScanStatus

    firewall = core.shared_firewall(config)
    if name in custom_scanner_registry:
        if _registered.get(name) is firewall:
            return name
        raise core.ConfigError(
            f"LlamaFirewall has another scanner {name!r} already; give this one its own: name=..."
        )
    traces = Traces(firewall)

    class FirewallScanner(host.Scanner):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:  # LlamaFirewall makes one for every message, so it must cost nothing
            super().__init__(name)

        async def scan(self, message: host.Message, past_trace: host.Trace | None = None) -> host.ScanResult:
            verdicts, whole = await asyncio.to_thread(traces.judge, message, past_trace or ())
            judged = [*verdicts, *([whole] if whole else [])]
            worst = max(judged, key=lambda verdict: (verdict.action.severity, verdict.score))
            contents = [core.read_content(message.content), core.read_content(message.tool_calls)]
            reason = core.describe(worst, [kind for content in contents for kind in content.without_text])
            return host.ScanResult(
                decision=host.ScanDecision(_DECISIONS[worst.action.value]),
                reason=f"{reason} Read with the messages before it." if worst is whole else reason,
                score=worst.score,
                status=ScanStatus.SUCCESS if worst.error is None else ScanStatus.ERROR,
            )

    host.register_llamafirewall_scanner(name)(FirewallScanner)
    _registered[name] = firewall
    return name
