"""The OpenAI Agents SDK in the contract suite: a guarded agent with one tool, on a scripted model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from alknet_firewall import NOTICE, Action, FirewallConfig, content_text
from tests.hosts.contract import Outcome, Slot


class OpenAIAgents:
    name = "openai_agents"
    requires = ("agents", "alknet_firewall_openai_agents")
    slots = (
        Slot("user", "user"),
        Slot("user, streamed", "user"),
        Slot("tool", "tool"),
        Slot("tool result in the history", "tool"),
        Slot("response", "response"),
        Slot("response, held back", "response"),
        Slot("tool call", "response", parts=False),
    )
    review = Action.BLOCK
    streams = ("response, held back",)

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        from agents import Agent, FunctionTool, RunConfig, Runner, exceptions
        from agents.testing import ScriptedModel

        from alknet_firewall_openai_agents import held_back, protect

        async def look_up(context: object, arguments: str) -> object:
            ran.append(arguments)
            return content if slot == "tool" else ""

        ran: list[str] = []
        model = ScriptedModel(_script(slot, content))
        tool = FunctionTool("look_up", "", {}, look_up, strict_json_schema=False)
        agent = protect(Agent(name="contract", model=model, tools=[tool]), config)
        run_config = RunConfig(tracing_disabled=True)
        stopped, returned = False, ""
        try:
            if slot.endswith((", streamed", ", held back")):
                streamed = Runner.run_streamed(agent, _given(slot, content), run_config=run_config)
                returned = "".join([repr(event) async for event in held_back(streamed, config)])
            else:
                result = await Runner.run(agent, _given(slot, content), run_config=run_config)
                returned = repr([result.final_output, *(item.to_input_item() for item in result.new_items)])
        except (
            exceptions.InputGuardrailTripwireTriggered,
            exceptions.OutputGuardrailTripwireTriggered,
            exceptions.ToolInputGuardrailTripwireTriggered,
        ) as error:
            output = error.output if hasattr(error, "output") else error.guardrail_result.output
            stopped, returned = True, f"{error} {output.output_info}"
        seen = repr([call.input for call in model.calls])
        if slot == "tool call" and not stopped:
            seen += repr(ran)
        stopped |= slot == "tool" and NOTICE in seen
        return Outcome(Action.BLOCK if stopped else Action.ALLOW, seen, returned)

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        from agents import Agent, OutputGuardrailTripwireTriggered, RunConfig, Runner
        from agents.testing import ModelStep, ScriptedModel

        from alknet_firewall_openai_agents import held_back, protect

        model = ScriptedModel([ModelStep.stream(lambda call: written(source))])
        agent = protect(Agent(name="contract", model=model), config)
        result = Runner.run_streamed(agent, "hello", run_config=RunConfig(tracing_disabled=True))
        try:
            async for event in held_back(result, config):
                delta = getattr(getattr(event, "data", None), "delta", "")
                show(delta, repr(event))
        except OutputGuardrailTripwireTriggered as error:
            show("", f"{error} {error.guardrail_result.output.output_info}")
            return True
        return False


async def written(source: AsyncIterable[str]) -> AsyncIterator[Any]:
    """The events of a model that writes what the source yields."""
    from agents.testing import assistant_message
    from openai.types.responses import (
        Response,
        ResponseCompletedEvent,
        ResponseOutputItemAddedEvent,
        ResponseOutputItemDoneEvent,
        ResponseTextDeltaEvent,
        ResponseTextDoneEvent,
    )

    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": [], "sequence_number": 0}
    empty = assistant_message("", item_id="m").model_copy(update={"content": [], "status": "in_progress"})
    yield ResponseOutputItemAddedEvent(
        type="response.output_item.added", item=empty, output_index=0, sequence_number=0
    )
    text = ""
    async for piece in source:
        text += piece
        yield ResponseTextDeltaEvent(type="response.output_text.delta", delta=piece, **place)
    yield ResponseTextDoneEvent(type="response.output_text.done", text=text, **place)
    item = assistant_message(text, item_id="m")
    yield ResponseOutputItemDoneEvent(
        type="response.output_item.done", item=item, output_index=0, sequence_number=0
    )
    whole = Response(
        id="r", created_at=0, model="m", object="response", output=[item], tool_choice="none", tools=[],
        parallel_tool_calls=False, status="completed",
    )  # fmt: skip
    yield ResponseCompletedEvent(type="response.completed", response=whole, sequence_number=0)


def _given(slot: str, content: object) -> Any:
    """What the run starts with."""
    if slot == "tool result in the history":
        call = {"type": "function_call", "call_id": "1", "name": "look_up", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "1", "output": content}
        return [{"role": "user", "content": "hello"}, call, result]
    if slot.startswith("user"):
        return content if isinstance(content, str) else [{"role": "user", "content": content}]
    return "hello"


def _script(slot: str, content: object) -> Any:
    """What the model says, turn by turn; nothing where the content is elsewhere, as any words could be flagged."""
    from agents.testing import assistant_message, function_call

    if slot.startswith("response"):
        return [[assistant_message(content_text(content))]]
    # An argument without a name, which is screened as well and would count.
    call = function_call("look_up", json.dumps({"": content if slot == "tool call" else ""}), call_id="2")
    return [[call], [assistant_message("")]] if slot.startswith("tool") else [[assistant_message("")]]


HOST = OpenAIAgents()
