"""LangChain in the contract suite: a chain with a guard on either side of a scripted model."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from alknet_firewall import NOTICE, Action, FirewallConfig, content_text
from tests.hosts.contract import Outcome, Slot


class LangChain:
    name = "langchain"
    requires = ("langchain_core", "alknet_firewall_langchain")
    slots = (
        Slot("user", "user"),
        Slot("user, plain string", "user", parts=False),
        Slot("retrieved", "document", parts=False),
        Slot("tool", "tool"),
        Slot("response", "response"),
        Slot("response, streamed", "response"),
        Slot("tool call", "response", parts=False),
    )
    review = Action.BLOCK
    streams = ("response, streamed",)

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        from langchain_core.runnables import RunnableLambda

        from alknet_firewall_langchain import FlaggedError, firewall_guard

        seen: list[str] = []

        async def model(given: Any) -> Any:
            seen.append(repr(given))
            return _answer(slot, content)

        guard = firewall_guard(config=config)
        chain = guard | RunnableLambda(model) | guard
        stopped, returned = False, ""
        try:
            if slot.endswith(", streamed"):
                returned = "".join([repr(piece) async for piece in chain.astream(_given(slot, content))])
            else:
                returned = repr(await chain.ainvoke(_given(slot, content)))
        except FlaggedError as error:
            stopped, returned = True, str(error)
        read = "".join(seen)
        stopped |= slot == "tool" and NOTICE in read
        stopped |= slot == "retrieved" and read == "[]"  # left out
        return Outcome(Action.BLOCK if stopped else Action.ALLOW, read, returned)

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        from langchain_core.messages import AIMessageChunk
        from langchain_core.runnables import RunnableGenerator

        from alknet_firewall_langchain import FlaggedError, firewall_guard

        async def model(given: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for piece in source:
                yield AIMessageChunk(piece)

        chain = RunnableGenerator(model) | firewall_guard(config=config)
        try:
            async for piece in chain.astream(""):
                show(content_text(piece.content), repr(piece))
        except FlaggedError as error:
            show("", str(error))
            return True
        return False


def _given(slot: str, content: object) -> Any:
    """What the chain starts with; without words where the content is elsewhere, as any words could be flagged."""
    from langchain_core.documents import Document
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    if slot == "user":
        return [HumanMessage(content)]
    if slot == "user, plain string":
        return content
    if slot == "retrieved":
        return [Document(content)]
    if slot == "tool":
        call = {"name": "", "args": {}, "id": "1"}
        return [HumanMessage(""), AIMessage("", tool_calls=[call]), ToolMessage(_parts(content), tool_call_id="1")]
    return ""


def _parts(content: object) -> Any:
    return content if isinstance(content, str) else list(content)  # type: ignore[call-overload]


def _answer(slot: str, content: object) -> Any:
    from langchain_core.messages import AIMessage, AIMessageChunk

    if slot == "response":
        return AIMessage(_parts(content))
    if slot == "response, streamed":
        return AIMessageChunk(_parts(content))
    if slot == "tool call":
        return AIMessage("", tool_calls=[{"name": "", "args": {"": content}, "id": "1"}])
    return AIMessage("")


HOST = LangChain()
