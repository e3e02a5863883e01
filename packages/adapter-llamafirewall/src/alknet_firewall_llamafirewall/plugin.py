"""How `alknet-firewall doctor` finds and tries this adapter."""

from __future__ import annotations

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """LlamaFirewall."""
    wiring = "LlamaFirewall({Role.USER: [scanner()]}), with scanner of alknet_firewall_llamafirewall"
    return [Host("llamafirewall", "llamafirewall", wiring, _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    from llamafirewall import LlamaFirewall, Role, ScanDecision, UserMessage

    from alknet_firewall_llamafirewall.scanner import scanner

    host = LlamaFirewall({Role.USER: [scanner(firewall, name=f"alknet-firewall-doctor-{id(firewall)}")]})
    result = await host.scan_async(UserMessage(text))
    return bool(result.decision is not ScanDecision.ALLOW)
