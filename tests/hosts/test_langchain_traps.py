"""The LangChain guard in places of a chain that the contract suite does not have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("alknet_firewall_langchain")

from langchain_core.documents import Document
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableGenerator, RunnableLambda

from alknet_firewall import NOTICE, FirewallConfig, shared_firewall
from alknet_firewall_langchain import FlaggedError, firewall_guard, plugin
from tests.hosts.cases import ATTACKS, BENIGN, CANARY

CONFIG = FirewallConfig(plugins=())
GUARD = firewall_guard(config=CONFIG)
FLOWING = [BENIGN["response"][start : start + 5] for start in range(0, len(BENIGN["response"]), 5)]


def test_what_is_clear_is_the_very_input() -> None:
    given = [HumanMessage(BENIGN["user"]), Document("x")]
    assert GUARD.invoke(given) is given


def test_a_template_behind_a_guard_and_one_before_it() -> None:
    template = ChatPromptTemplate([("system", "You help."), ("user", "{question}")])
    assert (template | GUARD).invoke({"question": BENIGN["user"]}).to_messages()[1].content == BENIGN["user"]
    for chain in (template | GUARD, GUARD | template):
        with pytest.raises(FlaggedError) as caught:
            chain.invoke({"question": ATTACKS["user"]})
        assert CANARY not in str(caught.value)
        assert caught.value.verdict.flagged


def test_of_documents_those_that_are_flagged_are_left_out() -> None:
    good, bad = Document(BENIGN["document"]), Document(ATTACKS["document"])
    hidden = Document(BENIGN["document"], metadata={"title": ATTACKS["document"]})
    assert asyncio.run(GUARD.ainvoke([good, bad, hidden])) == [good]
    with pytest.raises(FlaggedError):
        GUARD.invoke(bad)


def test_a_notice_takes_the_place_of_a_tool_result_alone_or_among_others() -> None:
    result = ToolMessage(ATTACKS["tool"], tool_call_id="1", artifact={"raw": ATTACKS["tool"]})
    alone = GUARD.invoke(result)
    assert (alone.content, alone.artifact, alone.tool_call_id) == (NOTICE, None, "1")
    first, second = GUARD.invoke([HumanMessage(BENIGN["user"]), result])
    assert (first.content, second.content) == (BENIGN["user"], NOTICE)


def test_system_messages_are_the_applications_own() -> None:
    given = [SystemMessage(ATTACKS["user"]), HumanMessage(BENIGN["user"])]
    assert GUARD.invoke(given) is given


def test_strings_of_a_parser_flow_too() -> None:
    async def model(given: Any) -> Any:
        async for _ in given:
            for piece in FLOWING:
                yield AIMessageChunk(piece)

    chain = RunnableGenerator(model) | StrOutputParser() | firewall_guard("response", CONFIG)

    async def pieces() -> list[str]:
        return [piece async for piece in chain.astream("")]

    assert asyncio.run(pieces()) == FLOWING


def test_streaming_without_asyncio_waits_for_the_end_and_leaks_nothing() -> None:
    def model(given: Any) -> Any:
        for start in range(0, len(ATTACKS["response"]), 5):
            yield AIMessageChunk(ATTACKS["response"][start : start + 5])

    chain = RunnableGenerator(model) | GUARD
    seen: list[str] = []
    with pytest.raises(FlaggedError):
        for piece in chain.stream(""):
            seen.append(repr(piece))
    assert seen == []


def test_arguments_of_calls_in_chunks_are_screened() -> None:
    async def model(given: Any) -> Any:
        async for _ in given:
            for start in range(0, len(ATTACKS["response"]), 9):
                part = {"name": None, "args": ATTACKS["response"][start : start + 9], "id": None, "index": 0}
                yield AIMessageChunk("", tool_call_chunks=[part])

    async def pieces() -> str:
        return "".join([repr(piece) async for piece in (RunnableGenerator(model) | GUARD).astream("")])

    with pytest.raises(FlaggedError):
        asyncio.run(pieces())


def test_other_values_are_read_as_what_they_hold() -> None:
    chain = RunnableLambda(lambda given: {"answer": [given]}) | firewall_guard("tool", CONFIG)
    assert chain.invoke("fine words about the weather") == {"answer": ["fine words about the weather"]}
    with pytest.raises(FlaggedError):
        chain.invoke(ATTACKS["tool"])


@pytest.mark.parametrize(("text", "stopped"), [(ATTACKS["user"], True), (BENIGN["user"], False)])
def test_doctor_can_try_it(text: str, stopped: bool) -> None:
    (host,) = plugin.alknet_firewall_hosts()
    assert asyncio.run(host.probe(shared_firewall(CONFIG), text)) is stopped
