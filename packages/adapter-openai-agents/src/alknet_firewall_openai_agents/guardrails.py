"""The guardrails: what users, tools and the model write, each screened in the SDK's own slot for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import agents
from agents import ToolGuardrailFunctionOutput as _Outcome

from alknet_firewall import NOTICE, Firewall, FirewallConfig, describe, read_content, shared_firewall

Settings = Firewall | FirewallConfig | Mapping[str, Any] | None
_Agent = TypeVar("_Agent", bound=agents.Agent[Any])
_SEALED = {"image_generation_call": "result", "reasoning": "encrypted_content", "compaction": "encrypted_content"}


class Guardrails(NamedTuple):
    """One guardrail a slot; any of them can be used alone. The names are those of the SDK's slots."""

    input: agents.InputGuardrail[Any]
    output: agents.OutputGuardrail[Any]
    tool_input: agents.ToolInputGuardrail[Any]
    tool_output: agents.ToolOutputGuardrail[Any]


def firewall_guardrails(config: Settings = None, *, parallel: bool = False) -> Guardrails:
    """The guardrails of an agent and of its tools, over one loaded engine.

    Flagged input, output and tool arguments trip the wire; a flagged tool result is replaced by a notice and
    the run goes on. `output_info` tells `action`, `flagged`, `score` and `reason`, never the text.

    Args:
        config: Settings, ready-made or by name; a firewall; None: the settings of the environment.
        parallel: Screen the input while the model already reads it: faster, and too late to keep text from it.

    Raises:
        ConfigError: A key is unknown or a value is not allowed.
        AlknetFirewallError: The engine cannot be loaded.
    """
    screen = _Screen(shared_firewall(config))
    return Guardrails(
        agents.InputGuardrail(screen.input, "alknet_firewall", run_in_parallel=parallel),
        agents.OutputGuardrail(screen.output, "alknet_firewall"),
        agents.ToolInputGuardrail(screen.tool_input, "alknet_firewall"),
        agents.ToolOutputGuardrail(screen.tool_output, "alknet_firewall"),
    )


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
    slots = {f"{name}_guardrails": guardrail for name, guardrail in guardrails.items()}
    for holder in _reachable(agent, {}).values():
        own = [slot for slot in slots if hasattr(holder, slot)]
        for slot in own:
            # A new list: agents made by `clone` share theirs.
            setattr(holder, slot, [slots[slot], *(g for g in getattr(holder, slot) or () if g != slots[slot])])
        if not own and not _behind(holder):
            what = f"{type(holder).__name__} {getattr(holder, 'name', '')}".strip()
            logging.getLogger(__name__).warning("%s is not screened: the SDK has no guardrail for it", what)
    return agent


async def held_back(result: agents.RunResultStreaming) -> AsyncIterator[agents.StreamEvent]:
    """The events of a streamed run, none before all guardrails have passed: the SDK itself streams first.

    Raises:
        AgentsException: As `result.stream_events`, and then nothing was streamed.
    """
    for event in [event async for event in result.stream_events()]:
        yield event


def _reachable(holder: object, found: dict[int, object]) -> dict[int, object]:
    """An agent and all that lies behind it, by id, each once."""
    if id(holder) not in found:
        found[id(holder)] = holder
        for each in _behind(holder):
            _reachable(each, found)
    return found


def _behind(holder: object) -> list[object]:
    """Tools, servers and handoffs of an agent; the agent of a handoff, or of a tool that is one."""
    if isinstance(holder, agents.Agent):
        return [*holder.tools, *holder.mcp_servers, *holder.handoffs]
    # Private, but the only way: a resumed run reaches these agents without the handoff or tool being invoked.
    reference = getattr(holder, "_agent_ref", None)
    agent = reference() if reference else getattr(holder, "_agent_instance", None)
    return [agent] if agent else []


@lru_cache  # one for a firewall, so that its guardrails are equal and no agent gets them twice
class _Screen(NamedTuple):
    firewall: Firewall

    async def input(self, context: object, agent: object, given: Any) -> agents.GuardrailFunctionOutput:
        items = agents.ItemHelpers.input_to_new_input_list(given) or [{"role": "user", "content": ""}]
        info = await self._strictest([_by_channel(item) for item in items])
        return agents.GuardrailFunctionOutput(info, tripwire_triggered=info["flagged"])

    async def output(self, context: object, agent: object, given: object) -> agents.GuardrailFunctionOutput:
        info = await self._strictest([("response", given)])
        return agents.GuardrailFunctionOutput(info, tripwire_triggered=info["flagged"])

    async def tool_input(self, data: agents.ToolInputGuardrailData) -> _Outcome:
        arguments = data.context.tool_arguments
        info = await self._strictest([("response", {"type": "function_call", "arguments": arguments})])
        # Not rejected with a message: the arguments would stay in what the model reads next.
        return _Outcome.raise_exception(info) if info["flagged"] else _Outcome.allow(info)

    async def tool_output(self, data: agents.ToolOutputGuardrailData) -> _Outcome:
        call = data.context.tool_call  # with it, the output is screened as the model would read it
        read = agents.ItemHelpers.tool_call_output_item(call, data.output)["output"] if call else data.output
        info = await self._strictest([("tool", read)])
        return _Outcome.reject_content(NOTICE, info) if info["flagged"] else _Outcome.allow(info)

    async def _strictest(self, contents: list[tuple[str, object]]) -> dict[str, Any]:
        """Screens each content in its channel: the `output_info` of a guardrail."""
        read = [(channel, read_content(content)) for channel, content in contents]
        screenings = (self.firewall.screen_async(found.text, channel) for channel, found in read)
        top = max(await asyncio.gather(*screenings), key=lambda each: (each.action.severity, each.score))
        reason = describe(top, [kind for _, found in read for kind in found.without_text])
        return {"action": top.action.value, "flagged": top.flagged, "score": top.score, "reason": reason}


def _by_channel(item: Mapping[str, Any]) -> tuple[str, object]:
    own = item.get("role", item.get("type")) in "assistant function_call custom_tool_call reasoning".split()
    channel = "response" if own else "user" if "role" in item else "tool"
    # Without what is long and never words, by the items that have it: elsewhere these keys may hold text.
    return channel, {key: value for key, value in item.items() if key != _SEALED.get(item.get("type", ""))}
