"""How `alknet-firewall doctor` finds and tries this adapter."""

from __future__ import annotations

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """The OpenAI Agents SDK."""
    return [Host("openai-agents", "openai-agents", "alknet_firewall_openai_agents.protect(agent)", _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    from agents import Agent, RunContextWrapper

    from alknet_firewall_openai_agents import firewall_guardrails

    result = await firewall_guardrails(firewall).input.run(Agent(name="probe"), text, RunContextWrapper(None))
    return result.output.tripwire_triggered
