"""The guardrails: what users, tools and the model write, each screened in the SDK's own slot for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import agents
from agents import ToolGuardrailFunctionOutput as _Outcome

import alknet_firewall as core

Settings = core.Firewall | core.FirewallConfig | Mapping[str, Any] | None
_Agent = TypeVar("_Agent", bound=agents.Agent[Any])


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
    screen = _Screen(core.shared_firewall(config))
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
    holders: list[object] = [agent]
    for holder in holders:
        holders += [each for each in _behind(holder) if not any(each is known for known in holders)]
        own = [slot for slot in slots if hasattr(holder, slot)]
        for slot in own:
            # A new list: agents made by `clone` share theirs.
            setattr(holder, slot, [slots[slot], *(g for g in getattr(holder, slot) or () if g != slots[slot])])
        if not own and not _behind(holder):
            what = f"{type(holder).__name__} {getattr(holder, 'name', '')}".strip()
            logging.getLogger(__name__).warning("%s is not screened: the SDK has no guardrail for it", what)
    return agent


async def held_back(
    result: agents.RunResultStreaming, config: Settings = None, *, hold_back: core.HoldBack | None = None
) -> AsyncIterator[agents.StreamEvent]:
    """The events of a streamed run, each once the text in it and before it is clear: the SDK itself streams first.

    What the model writes is screened while it comes. When it is flagged, or nobody reads on, the run is cancelled.

    Args:
        result: What `Runner.run_streamed` returned.
        config: As for `firewall_guardrails`: what `protect` was given.
        hold_back: How far text is held back; None: as by default.

    Raises:
        OutputGuardrailTripwireTriggered: Text or arguments of a call are flagged. `agent_output` is a notice.
        AgentsException: As `result.stream_events`, and then what still waits is dropped.
    """
    own, guardrail = core.shared_firewall(config), firewall_guardrails(config).output
    async with core.GuardedItems(own, result.stream_events(), hold_back=hold_back, cancel=result.cancel) as held:
        async for event in held:
            yield event
    if held.stopped:
        output = agents.GuardrailFunctionOutput(_info(held.stopped, core.describe(held.stopped)), True)
        stop = agents.OutputGuardrailResult(guardrail, core.NOTICE, result.last_agent, output)
        raise agents.OutputGuardrailTripwireTriggered(stop)


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
    firewall: core.Firewall

    async def input(self, context: object, agent: object, given: Any) -> agents.GuardrailFunctionOutput:
        items = agents.ItemHelpers.input_to_new_input_list(given) or [{"role": "user", "content": ""}]
        info = await self._strictest([core.item_content(item) for item in items])
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
        return _Outcome.reject_content(core.NOTICE, info) if info["flagged"] else _Outcome.allow(info)

    async def _strictest(self, contents: list[tuple[str, object]]) -> dict[str, Any]:
        """Screens each content in its channel: the `output_info` of a guardrail."""
        read = [(channel, core.read_content(content)) for channel, content in contents]
        verdicts = await asyncio.gather(*(self.firewall.screen_async(one.text, name) for name, one in read))
        worst = max(verdicts, key=lambda each: (each.action.severity, each.score))
        return _info(worst, core.describe(worst, [kind for _, one in read for kind in one.without_text]))


def _info(verdict: core.Verdict, reason: str) -> dict[str, Any]:
    return {"action": verdict.action.value, "flagged": verdict.flagged, "score": verdict.score, "reason": reason}
