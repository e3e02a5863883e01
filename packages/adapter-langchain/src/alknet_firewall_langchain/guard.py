"""The guard: passes on what it is given, unless something in it is flagged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.exceptions import LangChainException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig

import alknet_firewall as core

Settings = core.Firewall | core.FirewallConfig | Mapping[str, Any] | None
_CHANNELS = {"ai": "response", "AIMessageChunk": "response", "tool": "tool", "function": "tool", "system": None}


class FlaggedError(LangChainException):
    """Something was flagged. The message names behavior and character offsets, never the text.

    Attributes:
        verdict: What screening answered.
    """

    def __init__(self, verdict: core.Verdict) -> None:
        """Takes a verdict."""
        super().__init__(core.describe(verdict))
        self.verdict = verdict


def firewall_guard(channel: str = "user", config: Settings = None) -> FirewallGuard:
    """A guard for a place in a chain: before a model, behind it, behind a retriever.

    Args:
        channel: Where plain strings come from. Messages and documents say it themselves.
        config: Settings, ready-made or by name; a firewall; None: the settings of the environment.

    Raises:
        ConfigError: A key is unknown or a value is not allowed.
        AlknetFirewallError: The engine cannot be loaded.
    """
    return FirewallGuard(core.shared_firewall(config), channel)


class FirewallGuard(Runnable[Any, Any]):
    """Passes its input on unchanged, or raises `FlaggedError`.

    A flagged document is left out, and a notice takes the place of a flagged tool result: the run goes on.
    """

    def __init__(self, firewall: core.Firewall, channel: str = "user") -> None:
        """Takes a loaded firewall, and the channel of plain strings."""
        self._firewall, self._channel = firewall, channel

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        asked = list(self._asked(input))
        return _passed(input, [self._firewall.screen(text, channel) for channel, text in asked])

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        asked = list(self._asked(input))
        screened = (self._firewall.screen_async(text, channel) for channel, text in asked)
        return _passed(input, await asyncio.gather(*screened))

    async def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Pieces of an answer go on as they become clear; anything else when it is whole."""
        async for first in input:
            if not isinstance(first, (str, AIMessageChunk)):
                async for each in super().atransform(_again(first, input), config, **kwargs):
                    yield each
                return
            channel = self._channel if isinstance(first, str) else "response"
            pieces = ({"text": _said(piece), "piece": piece} async for piece in _again(first, input))
            async with core.GuardedItems(self._firewall, pieces, channel) as held:
                async for item in held:
                    yield item["piece"]
            if held.stopped is not None:
                raise FlaggedError(held.stopped)

    def _asked(self, given: Any) -> Iterator[tuple[str, str]]:
        """Channel and text of each part of an input, in order."""
        for part in _parts(given):
            if isinstance(part, BaseMessage):
                channel = _CHANNELS.get(part.type, "user")
                calls = part.tool_calls if isinstance(part, AIMessage) else None
                # System messages are the application's own.
                yield channel or "user", core.content_text([part.content, calls]) if channel else ""
            elif isinstance(part, Document):
                yield "document", core.content_text([part.page_content, part.metadata])
            else:
                yield self._channel, core.content_text(part)


def _parts(given: Any) -> Sequence[Any]:
    if isinstance(given, PromptValue):
        return given.to_messages()
    return given if isinstance(given, list) else [given]


def _passed(given: Any, verdicts: Sequence[core.Verdict]) -> Any:
    """What goes on: the input itself, if nothing of it is flagged."""
    kept: list[Any] = []
    for part, verdict in zip(_parts(given), verdicts):
        if not verdict.flagged:
            kept.append(part)
        elif isinstance(part, ToolMessage):
            kept.append(part.model_copy(update={"content": core.NOTICE, "artifact": None}))
        elif not (isinstance(part, Document) and isinstance(given, list)):
            raise FlaggedError(verdict)
    if not any(verdict.flagged for verdict in verdicts):
        return given
    return kept if isinstance(given, (list, PromptValue)) else kept[0]


def _said(piece: str | AIMessageChunk) -> str:
    if isinstance(piece, str):
        return piece
    arguments = [call["args"] or "" for call in piece.tool_call_chunks]
    return core.content_text(piece.content) + "".join(arguments)


async def _again(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for each in rest:
        yield each
