"""How `alknet-firewall doctor` finds and tries this adapter."""

from __future__ import annotations

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """LiteLLM."""
    return [Host("litellm", "litellm", "guardrail: alknet_firewall_litellm.FirewallGuardrail", _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    from litellm.exceptions import GuardrailRaisedException

    from alknet_firewall_litellm import FirewallGuardrail

    guardrail, asked = FirewallGuardrail(config=firewall), {"messages": [{"role": "user", "content": text}]}
    try:
        await guardrail.async_pre_call_hook(None, None, asked, "acompletion")
    except GuardrailRaisedException:
        return True
    return False
