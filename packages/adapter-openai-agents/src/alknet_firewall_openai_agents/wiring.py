"""Puts the guardrails wherever an agent can be reached: its tools, MCP servers, handoffs, agents used as tools."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeVar

import agents

from alknet_firewall_openai_agents.guardrails import Settings, firewall_guardrails

_log = logging.getLogger(__name__)
_Agent = TypeVar("_Agent", bound=agents.Agent[Any])


def protect(agent: _Agent, config: Settings = None, *, parallel: bool = False) -> _Agent:
    """Guards an agent and everything it can reach, in place, and returns it; a second time changes nothing.

    In place, because a copy would leave the agents that handoffs, tools and saved runs hold unguarded. What
    the SDK has no guardrail for is named in a warning.

    Args:
        agent: The agent. Tools and handoffs that it is given later need another call.
        config: As for `firewall_guardrails`, which also says what is raised.
        parallel: As for `firewall_guardrails`.
    """
    guardrails = firewall_guardrails(config, parallel=parallel)._asdict()
    for holder in _reachable(agent):
        slots = {f"{name}_guardrails": guardrail for name, guardrail in guardrails.items()}
        slots = {slot: guardrail for slot, guardrail in slots.items() if hasattr(holder, slot)}
        for slot, guardrail in slots.items():
            others = [other for other in getattr(holder, slot) or () if other != guardrail]
            setattr(holder, slot, [guardrail, *others])  # a new list: agents made by `clone` share theirs
        if not slots and _target(holder) is None:
            name = getattr(holder, "name", "") or getattr(holder, "agent_name", "")
            _log.warning("%s %r is not screened: the SDK has no guardrail for it", type(holder).__name__, name)
    return agent


async def held_back(result: agents.RunResultStreaming) -> AsyncIterator[agents.StreamEvent]:
    """The events of a streamed run, none before all guardrails have passed: the SDK itself streams first.

    Raises:
        AgentsException: As `result.stream_events`, and then nothing was streamed.
    """
    for event in [event async for event in result.stream_events()]:
        yield event


def _reachable(start: agents.Agent[Any]) -> Iterable[Any]:
    """The agent, its tools, servers and handoffs, the agents behind these, and so on, each once."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [start]
    while waiting:
        holder = waiting.pop()
        if holder is None or id(holder) in found:
            continue
        found[id(holder)] = holder
        if isinstance(holder, agents.Agent):
            waiting += [*holder.tools, *holder.mcp_servers, *holder.handoffs]
        waiting.append(_target(holder))
    return found.values()


def _target(holder: object) -> object:
    """The agent behind a handoff or behind an agent used as a tool."""
    # Private, but the only way: a resumed run reaches these agents without the handoff or tool being invoked.
    reference = getattr(holder, "_agent_ref", None)
    return reference() if reference else getattr(holder, "_agent_instance", None)
