"""The four guardrails: what a user, a tool and the model itself write, each screened in the SDK's own slot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import agents
from agents import GuardrailFunctionOutput, ToolGuardrailFunctionOutput

from alknet_firewall import NOTICE, Firewall, FirewallConfig, describe, read_content, shared_firewall

Settings = Firewall | FirewallConfig | Mapping[str, Any] | None
_NAME = "alknet_firewall"
_OPAQUE = ("encrypted_content", "result")  # of reasoning and of generated images: long, and never words
_BY_MODEL = ("function_call", "custom_tool_call", "reasoning")


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
    return _guardrails(shared_firewall(config), parallel)


@lru_cache(maxsize=16)  # the same firewall gives the same guardrails, so that no agent gets them twice
def _guardrails(firewall: Firewall, parallel: bool) -> Guardrails:
    screen = _Screen(firewall)
    return Guardrails(
        agents.InputGuardrail(screen.input, _NAME, run_in_parallel=parallel),
        agents.OutputGuardrail(screen.output, _NAME),
        agents.ToolInputGuardrail(screen.tool_input, _NAME),
        agents.ToolOutputGuardrail(screen.tool_output, _NAME),
    )


@dataclass(frozen=True)
class _Screen:
    firewall: Firewall

    async def input(self, context: object, agent: object, given: Any) -> GuardrailFunctionOutput:
        items = agents.ItemHelpers.input_to_new_input_list(given)
        info = await self._strictest([(_channel(item), _readable(item)) for item in items] or [("user", "")])
        return GuardrailFunctionOutput(info, tripwire_triggered=info["flagged"])

    async def output(self, context: object, agent: object, output: object) -> GuardrailFunctionOutput:
        info = await self._strictest([("response", output)])
        return GuardrailFunctionOutput(info, tripwire_triggered=info["flagged"])

    async def tool_input(self, data: agents.ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        call = {"type": "function_call", "arguments": data.context.tool_arguments}
        info = await self._strictest([("response", call)])
        if info["flagged"]:  # not rejected with a message: the arguments would stay in what the model reads
            return ToolGuardrailFunctionOutput.raise_exception(info)
        return ToolGuardrailFunctionOutput.allow(info)

    async def tool_output(self, data: agents.ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
        call, output = data.context.tool_call, data.output
        if call is not None:  # what the model would read of it
            output = agents.ItemHelpers.tool_call_output_item(call, output)["output"]
        info = await self._strictest([("tool", output)])
        if info["flagged"]:
            return ToolGuardrailFunctionOutput.reject_content(NOTICE, info)
        return ToolGuardrailFunctionOutput.allow(info)

    async def _strictest(self, contents: list[tuple[str, object]]) -> dict[str, Any]:
        """Screens each content in its channel: the `output_info` of a guardrail."""
        read = [(channel, read_content(content)) for channel, content in contents]
        screenings = (self.firewall.screen_async(found.text, channel) for channel, found in read)
        worst = max(await asyncio.gather(*screenings), key=lambda each: (each.action.severity, each.score))
        reason = describe(worst, [kind for _, found in read for kind in found.without_text])
        return {"action": worst.action.value, "flagged": worst.flagged, "score": worst.score, "reason": reason}


def _channel(item: Mapping[str, Any]) -> str:
    if "role" in item:
        return "response" if item["role"] == "assistant" else "user"
    return "response" if item.get("type") in _BY_MODEL else "tool"


def _readable(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _OPAQUE}
