"""What streams of the OpenAI Agents SDK leak, and how the adapter holds them back; its registration.

Tests named `test_host_...` show a leak of the SDK that no guardrail can close (docs/hosts.md lists them): one that
fails means that a new version may have closed it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from alknet_firewall import shared_firewall
from tests.hosts.cases import ATTACKS, BENIGN, CANARY

pytest.importorskip("agents")
pytest.importorskip("alknet_firewall_openai_agents")

from agents import (
    Agent,
    Handoff,
    OutputGuardrailTripwireTriggered,
    Runner,
    ToolInputGuardrailTripwireTriggered,
)
from agents.testing import ScriptedModel, assistant_message

from alknet_firewall_openai_agents import held_back, plugin, protect
from tests.hosts.test_openai_agents_traps import ANSWER, CONFIG, RUN, call, run, scripted, seen, tool


def streamed(agent: Agent[Any], hold: bool) -> str:
    async def events() -> str:
        result, out = Runner.run_streamed(agent, "hello", run_config=RUN), ""
        try:
            async for event in held_back(result, CONFIG) if hold else result.stream_events():
                out += repr(event)
        except (OutputGuardrailTripwireTriggered, ToolInputGuardrailTripwireTriggered):
            return out
        raise AssertionError("it should have been stopped")

    return asyncio.run(events())


@pytest.mark.parametrize("said", [ATTACKS["response"], call("look_up", q=ATTACKS["response"])])
def test_host_streams_before_it_screens_and_held_back_does_not(said: Any) -> None:
    agents = [protect(Agent(name="a", model=scripted(said), tools=[tool()]), CONFIG) for _ in range(2)]
    assert CANARY in streamed(agents[0], hold=False)
    assert CANARY not in streamed(agents[1], hold=True)


def events_of(agent: Agent[Any]) -> list[Any]:
    async def events() -> list[Any]:
        return [
            event async for event in held_back(Runner.run_streamed(agent, "hello", run_config=RUN), CONFIG)
        ]

    return asyncio.run(events())


def test_held_back_hands_on_every_event_unchanged_and_in_order() -> None:
    def agent() -> Agent[Any]:
        model = ScriptedModel(
            [[assistant_message(ANSWER), call("look_up", q="Utrecht")], [assistant_message(ANSWER)]]
        )
        return protect(Agent(name="a", model=model, tools=[tool(BENIGN["tool"])]), CONFIG)

    async def plain() -> list[Any]:
        result = Runner.run_streamed(agent(), "hello", run_config=RUN)
        return [event async for event in result.stream_events()]

    def named(events: list[Any]) -> list[tuple[str, str]]:
        return [
            (event.type, getattr(event, "name", getattr(getattr(event, "data", None), "type", "")))
            for event in events
        ]

    assert named(events_of(agent())) == named(asyncio.run(plain()))


def test_held_back_screens_messages_beside_tool_calls() -> None:
    model = ScriptedModel(
        [[assistant_message(ATTACKS["response"]), call("look_up")], [assistant_message(ANSWER)]]
    )
    with pytest.raises(OutputGuardrailTripwireTriggered) as caught:
        events_of(protect(Agent(name="a", model=model, tools=[tool("")]), CONFIG))
    assert CANARY not in repr(caught.value.guardrail_result)
    assert len(model.calls) == 1, "the run is cancelled"


@pytest.mark.parametrize("kind", ["message", "reasoning", "arguments"])
def test_held_back_reads_what_comes_without_pieces(kind: str) -> None:
    from agents.testing import ModelStep
    from openai.types.responses import Response, ResponseCompletedEvent, ResponseReasoningItem
    from openai.types.responses.response_reasoning_item import Summary

    item = {
        "message": assistant_message(ATTACKS["response"]),
        "reasoning": ResponseReasoningItem(
            id="r", type="reasoning", summary=[Summary(text=ATTACKS["response"], type="summary_text")]
        ),
        "arguments": call("look_up", q=ATTACKS["response"]),
    }[kind]
    whole = Response(
        id="r", created_at=0, model="m", object="response", output=[item, assistant_message(ANSWER)],
        tool_choice="none", tools=[], parallel_tool_calls=False, status="completed",
    )  # fmt: skip
    completed = ResponseCompletedEvent(type="response.completed", response=whole, sequence_number=0)
    agent = protect(
        Agent(name="a", model=ScriptedModel([ModelStep.stream([completed])]), tools=[tool("")]), CONFIG
    )
    seen_events: list[str] = []

    async def events() -> None:
        async for event in held_back(Runner.run_streamed(agent, "hello", run_config=RUN), CONFIG):
            seen_events.append(repr(event))

    with pytest.raises((OutputGuardrailTripwireTriggered, ToolInputGuardrailTripwireTriggered)):
        asyncio.run(events())
    assert CANARY not in "".join(seen_events)


def test_held_back_shows_arguments_when_they_are_whole() -> None:
    said = call("look_up", q="x")
    said.arguments = '{"q": "' + "".join(f"\\u{ord(letter):04x}" for letter in ATTACKS["response"]) + '"}'
    with pytest.raises((OutputGuardrailTripwireTriggered, ToolInputGuardrailTripwireTriggered)):
        events_of(protect(Agent(name="a", model=scripted(said), tools=[tool("")]), CONFIG))


def test_host_keeps_the_stopped_output_in_its_exception() -> None:
    with pytest.raises(OutputGuardrailTripwireTriggered) as caught:
        run(protect(Agent(name="a", model=scripted(ATTACKS["response"])), CONFIG))
    assert CANARY not in str(caught.value) + str(caught.value.run_data)
    assert CANARY in repr(caught.value.guardrail_result.agent_output)
    assert caught.value.run_data is not None
    assert CANARY in repr(caught.value.run_data.new_items)


def test_host_keeps_the_stopped_output_in_the_streamed_result() -> None:
    async def result_of_a_stopped_run() -> Any:
        agent = protect(Agent(name="a", model=scripted(ATTACKS["response"])), CONFIG)
        result = Runner.run_streamed(agent, "hello", run_config=RUN)
        with pytest.raises(OutputGuardrailTripwireTriggered):
            [event async for event in held_back(result, CONFIG)]
        return result

    result = asyncio.run(result_of_a_stopped_run())
    assert CANARY in repr([result.new_items, result.raw_responses])


def test_host_hands_over_arguments_of_a_handoff_unseen() -> None:
    received: list[str] = []

    async def receive(context: object, arguments: str) -> Agent[Any]:
        received.append(arguments)
        return behind

    behind = Agent(name="behind", model=scripted(ANSWER))
    to_behind = Handoff("transfer_to_behind", "", {}, receive, "behind", strict_json_schema=False)
    start = Agent(name="start", model=scripted(call("transfer_to_behind", why=ATTACKS["response"])))
    start.handoffs = [to_behind]
    assert run(protect(start, CONFIG)).final_output == ANSWER
    assert CANARY in repr(received)


def test_host_screens_only_the_last_message_of_a_run() -> None:
    said = [assistant_message(ATTACKS["response"]), call("look_up")]
    model = ScriptedModel([said, [assistant_message(ANSWER)]])
    result = run(protect(Agent(name="a", model=model, tools=[tool("")]), CONFIG))
    assert result.final_output == ANSWER
    assert CANARY in seen(model) + repr(result.new_items)


# Registration.


def test_discovery_imports_no_host() -> None:
    code = "import alknet_firewall_openai_agents.plugin as p, sys; p.alknet_firewall_hosts(); sys.exit('agents' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("text", "stopped"), [(ATTACKS["user"], True), (BENIGN["user"], False)])
def test_doctor_can_try_it(text: str, stopped: bool) -> None:
    (host,) = plugin.alknet_firewall_hosts()
    assert asyncio.run(host.probe(shared_firewall(CONFIG), text)) is stopped
