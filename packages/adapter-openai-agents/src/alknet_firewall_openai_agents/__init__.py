"""Guardrails for the OpenAI Agents SDK that screen text with alknet-firewall.

    from alknet_firewall_openai_agents import protect
    agent = protect(Agent(name="assistant", tools=[read_page]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall_openai_agents.guardrails import Guardrails, firewall_guardrails
    from alknet_firewall_openai_agents.wiring import held_back, protect

__all__ = ["Guardrails", "firewall_guardrails", "held_back", "protect"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from alknet_firewall_openai_agents import guardrails, wiring  # late: the plugin is found without the SDK

    return getattr(guardrails if hasattr(guardrails, name) else wiring, name)
