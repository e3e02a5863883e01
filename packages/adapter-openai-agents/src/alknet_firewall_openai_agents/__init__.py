"""Guardrails for the OpenAI Agents SDK that screen text with alknet-firewall.

from alknet_firewall_openai_agents import protect
agent = protect(Agent(name="assistant", tools=[read_page]))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall_openai_agents.guardrails import Guardrails, firewall_guardrails, held_back, protect

__all__ = ["Guardrails", "firewall_guardrails", "held_back", "protect"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from alknet_firewall_openai_agents import guardrails  # late: the plugin is found without the SDK

    return getattr(guardrails, name)
