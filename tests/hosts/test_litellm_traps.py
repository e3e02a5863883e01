"""What LiteLLM does that its guardrail must know of, or that no guardrail can close; with the version named in docs/hosts.md."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("litellm")
pytest.importorskip("alknet_firewall_litellm")

import litellm
from litellm.exceptions import GuardrailRaisedException
from litellm.types.utils import TextCompletionResponse

from alknet_firewall import NOTICE, Firewall, FirewallConfig, shared_firewall
from alknet_firewall_litellm import FirewallGuardrail, plugin
from tests.hosts.cases import ATTACKS, BENIGN, CANARY

CONFIG = FirewallConfig(plugins=())


@pytest.fixture
def guardrail(monkeypatch: pytest.MonkeyPatch) -> FirewallGuardrail:
    own = FirewallGuardrail("firewall", config=CONFIG)
    monkeypatch.setattr(litellm, "callbacks", [own])
    return own


def call(**data: Any) -> dict[str, Any]:
    guardrail = FirewallGuardrail(config=CONFIG)
    passed: dict[str, Any] = asyncio.run(guardrail.async_pre_call_hook(None, None, data, "aresponses"))
    return passed


def complete(*arguments: Any, **options: Any) -> Any:
    return asyncio.run(litellm.acompletion(*arguments, mock_response=".", **options))


def test_messages_by_position_are_refused_as_no_guardrail_sees_them(guardrail: FirewallGuardrail) -> None:
    with pytest.raises(ValueError, match="by name"):
        complete("gpt-4o", [{"role": "user", "content": ATTACKS["user"]}], guardrails=["firewall"])


def test_host_runs_a_guardrail_of_the_sdk_only_where_the_call_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "callbacks", [FirewallGuardrail("firewall", config=CONFIG, default_on=True)])
    messages = [{"role": "user", "content": ATTACKS["user"]}]
    assert complete(model="gpt-4o", messages=messages).choices[0].message.content == "."
    with pytest.raises(GuardrailRaisedException) as caught:
        complete(model="gpt-4o", messages=messages, guardrails=["firewall"])
    assert CANARY not in str(caught.value)


def test_system_messages_are_the_applications_own() -> None:
    call(messages=[{"role": "system", "content": ATTACKS["user"]}, {"role": "developer", "content": ATTACKS["user"]}])


def test_the_history_is_screened() -> None:
    with pytest.raises(GuardrailRaisedException):
        call(messages=[{"role": "assistant", "content": ATTACKS["response"]}, {"role": "user", "content": BENIGN["user"]}])


def test_a_flagged_tool_result_is_replaced_and_the_rest_stays() -> None:
    harmless = {"role": "tool", "tool_call_id": "1", "content": BENIGN["tool"]}
    poisoned = {"role": "tool", "tool_call_id": "2", "content": ATTACKS["tool"]}
    data = call(messages=[harmless, poisoned])
    assert data["messages"] == [harmless, {**poisoned, "content": NOTICE}]


@pytest.mark.parametrize(
    "data",
    [
        {"input": ATTACKS["user"]},
        {"input": [BENIGN["user"], ATTACKS["user"]]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": ATTACKS["user"]}]}]},
        {"input": [{"type": "function_call_output", "call_id": "1", "output": ATTACKS["tool"]}]},
        {"prompt": ATTACKS["user"]},
    ],
)
def test_other_calls_are_screened(data: dict[str, Any]) -> None:
    with pytest.raises(GuardrailRaisedException):
        call(**data)


@pytest.mark.parametrize(
    "response",
    [
        {"choices": [{"text": ATTACKS["response"]}]},
        {"choices": [{"message": {"content": ".", "reasoning_content": ATTACKS["response"]}}]},
        {"choices": [{"message": {"content": "."}}, {"message": {"content": ATTACKS["response"]}}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": ATTACKS["response"]}]}]},
        {"content": [{"type": "text", "text": ATTACKS["response"]}]},
    ],
)
def test_answers_of_other_kinds_are_screened(response: dict[str, Any]) -> None:
    guardrail = FirewallGuardrail(config=CONFIG)
    with pytest.raises(GuardrailRaisedException) as caught:
        asyncio.run(guardrail.async_post_call_success_hook({}, None, response))
    assert CANARY not in str(caught.value)


async def _streamed(chunks: list[Any]) -> list[Any]:
    async def source() -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    guardrail = FirewallGuardrail(config=CONFIG)
    return [chunk async for chunk in guardrail.async_post_call_streaming_iterator_hook(None, source(), {})]


def _completion(text: str) -> Any:
    return TextCompletionResponse(choices=[{"text": text, "index": 0}])


def _responses(text: str) -> Any:
    return SimpleNamespace(type="response.output_text.delta", delta=text, item_id="1", content_index=0)


def _messages(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def _wire(text: str) -> bytes:
    return f"event: content_block_delta\ndata: {json.dumps(_messages(text))}\n\n".encode()


@pytest.mark.parametrize("form", [_completion, _responses, _messages, _wire])
def test_streams_of_other_kinds_are_screened(form: Callable[[str], Any]) -> None:
    harmless = [form(BENIGN["response"]), form(" The end.")]
    assert asyncio.run(_streamed(harmless)) == harmless
    with pytest.raises(GuardrailRaisedException):
        asyncio.run(_streamed([form(ATTACKS["response"])]))


def test_settings_are_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="max_tokns"):
        FirewallGuardrail(config={"max_tokns": 1})


def test_it_is_made_as_the_proxy_makes_it() -> None:
    made = FirewallGuardrail(guardrail_name="own", event_hook=["pre_call"], default_on=True)
    assert made.guardrail_name == "own"


@pytest.mark.parametrize(("text", "stopped"), [(ATTACKS["user"], True), (BENIGN["user"], False)])
def test_doctor_can_try_it(text: str, stopped: bool) -> None:
    (host,) = plugin.alknet_firewall_hosts()
    own: Firewall = shared_firewall(CONFIG)
    assert asyncio.run(host.probe(own, text)) is stopped
