"""The guardrail: what goes to a model is screened before the call, and what it answers before anybody gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

from litellm.exceptions import GuardrailRaisedException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.types.guardrails import GuardrailEventHooks

import alknet_firewall as core

Settings = core.Firewall | core.FirewallConfig | Mapping[str, Any] | None
_CHANNELS = {"assistant": "response", "tool": "tool", "function": "tool"}
_OWN = ("system", "developer")  # roles of the application itself
_HOOKS = [GuardrailEventHooks.pre_call, GuardrailEventHooks.post_call]


class FirewallGuardrail(CustomGuardrail):
    """Screens messages by who wrote them, and answers; flagged text raises `GuardrailRaisedException`.

    A notice takes the place of a flagged tool result, and the call goes on. The exception names behavior and character
    offsets, never the text.
    """

    def __init__(self, guardrail_name: str = "alknet-firewall", *, config: Settings = None, **kwargs: Any) -> None:
        """Takes the settings of alknet-firewall, and what LiteLLM gives its guardrails.

        Args:
            guardrail_name: What requests call it.
            config: Settings, ready-made or by name; a firewall; None: the settings of the environment.
            kwargs: As of `CustomGuardrail`. Without `event_hook` it runs before and after the call.

        Raises:
            ConfigError: A key is unknown or a value is not allowed.
            AlknetFirewallError: The engine cannot be loaded.
        """
        self._firewall = core.shared_firewall(config)
        kwargs.setdefault("event_hook", _HOOKS)
        super().__init__(guardrail_name=guardrail_name, supported_event_hooks=_HOOKS, **kwargs)

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        messages = data.get("messages")
        if messages is None and call_type in ("completion", "acompletion"):
            raise ValueError("pass messages by name: LiteLLM does not show guardrails what is passed by position")
        asked = [_message(each) for each in messages] if isinstance(messages, list) else []
        verdicts = await self._screened([*asked, *_inputs(data)])
        for place, verdict in enumerate(verdicts):
            if verdict.flagged and not (place < len(asked) and asked[place][0] == "tool"):
                raise self._stop(verdict)
            if verdict.flagged and messages is not None:
                messages[place] = {**dict(messages[place]), "content": core.NOTICE}
        return data

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> Any:
        for verdict in await self._screened([("response", each) for each in _answers(response)]):
            if verdict.flagged:
                raise self._stop(verdict)
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """The chunks of a streamed answer, each once the text in it and before it is clear."""
        pieces = (_piece(chunk) async for chunk in response)
        async with core.GuardedItems(self._firewall, pieces) as held:
            async for piece in held:
                yield piece["chunk"] if isinstance(piece, dict) else piece
        if held.stopped is not None:
            raise self._stop(held.stopped)

    async def _screened(self, asked: list[tuple[str, object]]) -> list[core.Verdict]:
        texts = [(channel, core.content_text(content)) for channel, content in asked]
        return await asyncio.gather(*(self._firewall.screen_async(text, channel) for channel, text in texts))

    def _stop(self, verdict: core.Verdict) -> GuardrailRaisedException:
        return GuardrailRaisedException(self.guardrail_name, core.describe(verdict), False)


def _message(message: Any) -> tuple[str, object]:
    """Channel and content of a message."""
    role = message.get("role")
    content = [message.get(key) for key in ("content", "tool_calls", "function_call") if role not in _OWN]
    return _CHANNELS.get(role, "user"), content


def _inputs(data: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What other calls than chats have: the Responses API, completions, embeddings."""
    for key in ("input", "prompt"):
        value = data.get(key)
        for each in value if isinstance(value, list) else [value]:
            yield core.item_content(each) if isinstance(each, Mapping) else ("user", each)


def _answers(response: Any) -> Iterator[object]:
    """The answers of a model: of chats, completions, the Responses API, Anthropic's messages."""
    plain = response.model_dump() if hasattr(response, "model_dump") else response
    if isinstance(plain, Mapping):
        for choice in plain.get("choices") or ():
            message = choice.get("message") or choice
            yield [message.get(key) for key in ("content", "reasoning_content", "tool_calls", "function_call", "text")]
        yield [plain.get("output"), plain.get("content")]


def _piece(chunk: Any) -> Any:
    """A chunk with its text; an event of the Responses API as it is; Anthropic's as they go over the wire."""
    if not hasattr(chunk, "choices") and hasattr(chunk, "type"):
        return chunk
    said = chunk.decode("utf-8", "replace") if isinstance(chunk, bytes) else core.content_text(chunk)
    return {"text": _said(chunk.choices or ()) if hasattr(chunk, "choices") else said, "chunk": chunk}


def _said(choices: Any) -> str:
    """The text of a chunk, arguments of calls included; `text` is of completions that are no chats."""
    deltas = [choice.delta for choice in choices if getattr(choice, "delta", None)]
    calls = [call.function for delta in deltas for call in getattr(delta, "tool_calls", None) or ()]
    said = [getattr(one, key, None) for one in [*deltas, *choices] for key in ("content", "reasoning_content", "text")]
    return "".join(text for text in [*said, *(call.arguments for call in calls)] if text)
