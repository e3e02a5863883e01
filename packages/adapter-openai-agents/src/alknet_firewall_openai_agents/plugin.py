"""What `alknet-firewall doctor` learns of this adapter; finding it imports no host."""

from __future__ import annotations

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """This adapter's host."""
    wiring = "alknet_firewall_openai_agents.protect(agent) guards the agent, its tools and its handoffs"
    return [Host("openai-agents", "openai-agents", wiring, _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    from agents import Agent, InputGuardrailTripwireTriggered, RunConfig, Runner
    from agents.testing import ScriptedModel, assistant_message

    from alknet_firewall_openai_agents import firewall_guardrails

    guard, model = firewall_guardrails(firewall).input, ScriptedModel([[assistant_message("")]])
    agent = Agent(name="probe", model=model, input_guardrails=[guard])
    try:
        await Runner.run(agent, text, run_config=RunConfig(tracing_disabled=True))
    except InputGuardrailTripwireTriggered:
        return True
    return False
