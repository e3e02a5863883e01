"""Where the OpenAI Agents SDK surprises, shown with the real package; the adapter must hold all the same.

Tests named `test_host_...` show a leak of the SDK that no guardrail can close (docs/hosts.md lists them): one that
fails means that a new version may have closed it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from alknet_firewall import NOTICE, AlknetFirewallError, ConfigError, FirewallConfig, shared_firewall
from tests.hosts.cases import ATTACKS, BENIGN, CANARY, IMAGE

pytest.importorskip("agents")
pytest.importorskip("alknet_firewall_openai_agents")

from agents import (
    Agent,
    FunctionTool,
    Handoff,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    Runner,
    SQLiteSession,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailTripwireTriggered,
    UserError,
    WebSearchTool,
    handoff,
)
from agents.mcp import MCPServer
from agents.testing import ScriptedModel, assistant_message, function_call

from alknet_firewall_openai_agents import firewall_guardrails, protect

CONFIG = FirewallConfig(plugins=())
RUN = RunConfig(tracing_disabled=True)
ANSWER = "The library opens at nine in the morning and closes at five in the afternoon."


def call(name: str, call_id: str = "1", **arguments: str) -> Any:
    return function_call(name, arguments, call_id=call_id)


def scripted(*turns: Any) -> ScriptedModel:
    """A model that says each turn; a string is a message."""
    said = [[assistant_message(each) if isinstance(each, str) else each] for each in turns]
    return ScriptedModel(said)


def tool(result: object = ATTACKS["tool"], name: str = "look_up") -> FunctionTool:
    async def look_up(context: object, arguments: str) -> object:
        return result

    return FunctionTool(name, "", {}, look_up, strict_json_schema=False)


def run(agent: Agent[Any], given: Any = "hello", **more: Any) -> Any:
    return asyncio.run(Runner.run(agent, given, run_config=RUN, **more))


def seen(model: ScriptedModel) -> str:
    return repr([each.input for each in model.calls])


# The input: screened before the model is called.


async def _let_the_model_start() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("parallel", [False, True])
def test_the_model_sees_no_text_before_it_is_screened(
    parallel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewall = shared_firewall(CONFIG)
    screen = type(firewall).screen_async

    async def slow(self: Any, text: str, channel: str = "user") -> Any:
        await _let_the_model_start()
        return await screen(self, text, channel)

    monkeypatch.setattr(type(firewall), "screen_async", slow)
    model = scripted(ANSWER)
    agent = protect(Agent(name="a", model=model), CONFIG, parallel=parallel)
    with pytest.raises(InputGuardrailTripwireTriggered):
        run(agent, ATTACKS["user"])
    assert (CANARY in seen(model)) == parallel, "in parallel is for those who ask for it"


def test_the_default_of_the_sdk_is_parallel() -> None:
    assert InputGuardrail(lambda *_: None).run_in_parallel  # type: ignore[arg-type, return-value]
    assert not firewall_guardrails(CONFIG).input.run_in_parallel


def test_history_is_screened_by_who_wrote_it() -> None:
    guardrail = firewall_guardrails(CONFIG).input
    poisoned = [
        {"role": "assistant", "content": [{"type": "output_text", "text": BENIGN["response"]}]},
        {"type": "function_call", "call_id": "1", "name": "look_up", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "1",
            "output": [{"type": "input_text", "text": ATTACKS["tool"]}],
        },
        {"role": "user", "content": BENIGN["user"]},
    ]
    with pytest.raises(InputGuardrailTripwireTriggered) as caught:
        run(Agent(name="a", model=scripted(), input_guardrails=[guardrail]), poisoned)
    info = caught.value.guardrail_result.output.output_info
    assert "tool text" in info["reason"]
    assert info["flagged"]


def test_sealed_reasoning_and_images_are_not_read_as_words() -> None:
    sealed = "gAAAAABk" + "x9Qz7" * 20_000
    history = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": sealed},
        {"role": "user", "content": [{"type": "input_text", "text": BENIGN["user"]}, IMAGE]},
    ]
    result = run(protect(Agent(name="a", model=scripted(ANSWER)), CONFIG), history)
    info = result.input_guardrail_results[0].output.output_info
    assert info["action"] == "allow"
    assert "not screened, as without text: input_image" in info["reason"]


def test_a_screenshot_is_not_read_as_words() -> None:
    shot = {
        "type": "computer_screenshot",
        "image_url": "data:image/png;base64,iVBORw0KGgo" + "x9Qz7" * 20_000,
    }
    history = [
        {"type": "computer_call_output", "call_id": "call_1", "output": shot},
        {"role": "user", "content": BENIGN["user"]},
    ]
    result = run(protect(Agent(name="a", model=scripted(ANSWER)), CONFIG), history)
    info = result.input_guardrail_results[0].output.output_info
    assert info["action"] == "allow"
    assert "not screened, as without text: computer_screenshot" in info["reason"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "program_output", "id": "p1", "call_id": "1", "result": ATTACKS["tool"]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "result": ATTACKS["response"]},
        {"type": "image_generation_call", "id": "ig_1", "encrypted_content": ATTACKS["tool"]},
        {"role": "user", "content": "hello", "result": ATTACKS["user"]},
    ],
)
def test_the_keys_of_sealed_data_hide_no_text_elsewhere(item: Any) -> None:
    model = scripted(ANSWER)
    with pytest.raises(InputGuardrailTripwireTriggered):
        run(
            protect(Agent(name="a", model=model), CONFIG), [item, {"role": "user", "content": BENIGN["user"]}]
        )
    assert not model.calls


def test_a_session_keeps_what_was_stopped_and_is_stopped_again() -> None:
    async def two_turns() -> None:
        session, model = SQLiteSession("s"), scripted(ANSWER)
        agent = protect(Agent(name="a", model=model), CONFIG)
        for text in (ATTACKS["user"], BENIGN["user"]):
            with pytest.raises(InputGuardrailTripwireTriggered):
                await Runner.run(agent, text, session=session, run_config=RUN)
        assert not model.calls
        await session.pop_item()  # what the README advises: take out both inputs
        await session.pop_item()
        await Runner.run(agent, BENIGN["user"], session=session, run_config=RUN)

    asyncio.run(two_turns())


# Handoffs, agents as tools, MCP: input guardrails run for the starting agent only, tool guardrails for one tool.


def test_a_guarded_agent_behind_an_unguarded_one_has_no_input_guardrail() -> None:
    model = scripted(ANSWER)
    behind = protect(Agent(name="behind", model=model), CONFIG)
    run(Agent(name="start", model=scripted(call("transfer_to_behind")), handoffs=[behind]), ATTACKS["user"])
    assert CANARY in seen(model)


@pytest.mark.parametrize("as_handoff", [False, True])
def test_agents_behind_handoffs_are_guarded(as_handoff: bool) -> None:
    model = scripted(call("look_up", "2"), ANSWER)
    behind = Agent(name="behind", model=model, tools=[tool()])
    start = Agent(name="start", model=scripted(call("transfer_to_behind")))
    start.handoffs = [handoff(behind) if as_handoff else behind]
    behind.handoffs = [start]  # a circle
    run(protect(start, CONFIG))
    assert CANARY not in seen(model)
    assert NOTICE in seen(model)


def test_the_output_of_an_agent_behind_a_handoff_is_screened() -> None:
    behind = Agent(name="behind", model=scripted(ATTACKS["response"]))
    start = Agent(name="start", model=scripted(call("transfer_to_behind")), handoffs=[behind])
    with pytest.raises(OutputGuardrailTripwireTriggered):
        run(protect(start, CONFIG))


def test_an_agent_used_as_a_tool_is_guarded() -> None:
    inner_model = scripted(call("look_up", "2"), ANSWER)
    inner = Agent(name="inner", model=inner_model, tools=[tool()])
    outer = Agent(
        name="outer", model=scripted(call("ask", input="hello"), ANSWER), tools=[inner.as_tool("ask", "")]
    )
    run(protect(outer, CONFIG))
    assert CANARY not in seen(inner_model)
    assert NOTICE in seen(inner_model)


def test_mcp_servers_are_guarded() -> None:
    from mcp.types import CallToolResult, TextContent, Tool

    class Server(MCPServer):
        name = "server"

        async def connect(self) -> None: ...

        async def cleanup(self) -> None: ...

        async def list_tools(self, *_: object) -> Any:
            return [Tool(name="look_up", inputSchema={"type": "object", "properties": {}})]

        async def call_tool(self, *_: object, **__: object) -> Any:
            return CallToolResult(content=[TextContent(type="text", text=ATTACKS["tool"])])

        async def list_prompts(self) -> Any: ...

        async def get_prompt(self, *_: object) -> Any: ...

    model = scripted(call("look_up"), ANSWER)
    run(protect(Agent(name="a", model=model, mcp_servers=[Server()]), CONFIG))
    assert CANARY not in seen(model)
    assert NOTICE in seen(model)


def test_what_cannot_be_guarded_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def choose(context: object, arguments: str) -> Any: ...

    late = Handoff("late", "", {}, choose, "late")
    protect(Agent(name="a", tools=[tool(), WebSearchTool()], handoffs=[late]), CONFIG)
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warnings == [
        f"{what} is not screened: the SDK has no guardrail for it"
        for what in ("WebSearchTool web_search", "Handoff")
    ]


# In place, once, and beside guardrails of the application's own.


def test_twice_changes_nothing_and_clones_keep_their_lists() -> None:
    own = InputGuardrail(lambda *_: None)  # type: ignore[arg-type, return-value]
    agent = Agent(name="a", tools=[tool()], input_guardrails=[own])
    clone = agent.clone(name="clone")
    assert protect(protect(agent, CONFIG), {"plugins": ()}) is agent
    assert [len(agent.input_guardrails), len(agent.output_guardrails)] == [2, 1]
    assert agent.input_guardrails[1] is own
    assert isinstance(agent.tools[0], FunctionTool)
    assert agent.tools[0].tool_output_guardrails == [firewall_guardrails(CONFIG).tool_output]
    assert clone.input_guardrails == [own]


# Tools.


def test_a_flagged_result_is_replaced_and_the_run_goes_on() -> None:
    model = scripted(call("look_up"), ANSWER)
    result = run(protect(Agent(name="a", model=model, tools=[tool()]), CONFIG))
    assert result.final_output == ANSWER
    info = result.tool_output_guardrail_results[0].output.output_info
    assert info["action"] == "block"
    assert info["reason"].startswith("alknet-firewall: tool text blocked (")
    assert CANARY not in seen(model) + repr(info)


def test_a_flagged_result_that_would_be_the_answer() -> None:
    agent = Agent(
        name="a", model=scripted(call("look_up")), tools=[tool()], tool_use_behavior="stop_on_first_tool"
    )
    assert run(protect(agent, CONFIG)).final_output == NOTICE


def test_a_rejected_call_stays_in_what_the_model_reads_so_it_ends_the_run() -> None:
    def reject(data: object) -> ToolGuardrailFunctionOutput:
        return ToolGuardrailFunctionOutput.reject_content("no")

    arguments = call("look_up", q=ATTACKS["response"])
    guarded = tool()
    guarded.tool_input_guardrails = [ToolInputGuardrail(reject)]
    model = scripted(arguments, ANSWER)
    run(Agent(name="a", model=model, tools=[guarded]))
    assert CANARY in seen(model)

    model = scripted(arguments, ANSWER)
    with pytest.raises(ToolInputGuardrailTripwireTriggered):
        run(protect(Agent(name="a", model=model, tools=[tool()]), CONFIG))
    assert CANARY not in seen(model)


def test_letters_that_json_escapes_are_read_as_letters() -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in ATTACKS["response"])
    arguments = function_call("look_up", f'{{"q": "{escaped}"}}', call_id="1")
    with pytest.raises(ToolInputGuardrailTripwireTriggered):
        run(protect(Agent(name="a", model=scripted(arguments, ANSWER), tools=[tool()]), CONFIG))


# Faults: the SDK passes a guardrail's exceptions on.


def test_exceptions_of_guardrails_end_the_run(faulty_plugins: None) -> None:
    config = FirewallConfig(plugins=("contract_raising",), on_error="raise")
    model = scripted(ANSWER)
    with pytest.raises(RuntimeError):
        run(protect(Agent(name="a", model=model), config), BENIGN["user"])
    assert not model.calls
    model = scripted(call("look_up"), ANSWER)
    with pytest.raises(UserError):
        run(protect(Agent(name="a", model=model, tools=[tool(BENIGN["tool"])]), config))
    assert CANARY not in seen(model)


def test_a_fault_is_not_described_with_the_text(faulty_plugins: None) -> None:
    config = FirewallConfig(plugins=("contract_raising",))
    with pytest.raises(InputGuardrailTripwireTriggered) as caught:
        run(protect(Agent(name="a", model=scripted()), config), BENIGN["user"])
    info = caught.value.guardrail_result.output.output_info
    assert "screening failed with RuntimeError" in info["reason"]
    assert CANARY not in f"{caught.value} {info}"


def test_wrong_settings_and_a_missing_engine_are_errors_at_the_start(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="on_eror"):
        protect(Agent(name="a"), {"on_eror": "block"})
    with pytest.raises(AlknetFirewallError):
        protect(Agent(name="a"), FirewallConfig(codebook=tmp_path / "none.safetensors"))
