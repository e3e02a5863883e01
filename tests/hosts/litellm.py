"""LiteLLM in the contract suite: its SDK with the guardrail as a callback, on answers that it makes up itself."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from alknet_firewall import NOTICE, Action, FirewallConfig, content_text
from tests.hosts.contract import Outcome, Slot

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # read when LiteLLM is imported: else it looks for a newer one
_ANSWER = "."


class LiteLLM:
    name = "litellm"
    requires = ("litellm", "alknet_firewall_litellm")
    slots = (
        Slot("user", "user"),
        Slot("tool", "tool"),
        Slot("response", "response", parts=False),
        Slot("response, streamed", "response", parts=False),
        Slot("tool call", "response", parts=False),
    )
    review = Action.BLOCK
    streams = ("response, streamed",)

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        import litellm
        from litellm.exceptions import GuardrailRaisedException
        from litellm.integrations.custom_logger import CustomLogger

        from alknet_firewall_litellm import FirewallGuardrail

        class Seen(CustomLogger):
            """What goes to the model: told behind the guardrail."""

            async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> Any:
                seen.append(repr(kwargs["messages"]))
                return kwargs

        seen: list[str] = []
        guardrail = FirewallGuardrail("contract", config=config)
        before, litellm.callbacks = litellm.callbacks, [guardrail, Seen()]
        stopped, returned = False, ""
        try:
            answer = await litellm.acompletion(
                model="gpt-4o", messages=_given(slot, content), guardrails=["contract"], **_answer(slot, content)
            )
            if slot == "response, streamed":
                held = guardrail.async_post_call_streaming_iterator_hook(None, answer, {})
                chunks = [chunk async for chunk in held]
                returned = "".join(chunk.choices[0].delta.content or "" for chunk in chunks) + repr(chunks)
            else:
                returned = repr(answer)
        except GuardrailRaisedException as error:
            stopped, returned = True, str(error)
        finally:
            litellm.callbacks = before
        read = "".join(seen)
        stopped |= slot == "tool" and NOTICE in read
        return Outcome(Action.BLOCK if stopped else Action.ALLOW, read, returned)

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        from litellm.exceptions import GuardrailRaisedException
        from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

        from alknet_firewall_litellm import FirewallGuardrail

        async def model() -> AsyncIterator[Any]:
            async for piece in source:
                yield ModelResponseStream(choices=[StreamingChoices(delta=Delta(content=piece))])

        guardrail = FirewallGuardrail(config=config)
        try:
            async for chunk in guardrail.async_post_call_streaming_iterator_hook(None, model(), {}):
                show(chunk.choices[0].delta.content, repr(chunk))
        except GuardrailRaisedException as error:
            show("", str(error))
            return True
        return False


def _given(slot: str, content: object) -> list[dict[str, Any]]:
    if slot == "user":
        return [{"role": "user", "content": _parts(content)}]
    if slot == "tool":
        call = {"id": "1", "type": "function", "function": {"name": "", "arguments": "{}"}}
        asked = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [{"role": "user", "content": ""}, asked, {"role": "tool", "tool_call_id": "1", "content": content}]
    return [{"role": "user", "content": ""}]


def _parts(content: object) -> object:
    """Parts as chats have them: LiteLLM takes no others from users."""
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return [
        {"type": "text", "text": part["text"]}
        if "text" in part
        else {"type": "image_url", "image_url": {"url": part["image_url"]}}
        for part in content
    ]


def _answer(slot: str, content: object) -> dict[str, Any]:
    if slot.startswith("response"):
        return {"mock_response": content_text(content) or " ", "stream": slot.endswith(", streamed")}
    if slot == "tool call":
        import json

        arguments = json.dumps({"": content})
        call = {"id": "1", "type": "function", "function": {"name": "", "arguments": arguments}}
        return {"mock_response": " ", "mock_tool_calls": [call]}
    return {"mock_response": " "}


HOST = LiteLLM()
