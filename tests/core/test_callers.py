"""Many callers of one firewall: threads, an event loop, batches, a bounded queue, verdicts that are kept."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from alknet_firewall import Action, Firewall, Verdict
from alknet_firewall.detector.protocol import FloatArray
from alknet_firewall.engine import Engine
from alknet_firewall.errors import OverloadedError
from alknet_firewall.verdict import CHANNELS
from tests.core.test_fault_policy import raises, with_fault
from tests.core.test_firewall import Tiny, Z, same, tiny_firewall  # noqa: F401


def test_the_event_loop_goes_on(tiny_firewall: Tiny) -> None:  # noqa: F811
    def slow(states: FloatArray) -> FloatArray:
        time.sleep(0.3)
        return states

    firewall = with_fault(tiny_firewall(), slow)

    async def both() -> tuple[Verdict, int]:
        ticks = 0
        screening = asyncio.create_task(firewall.screen_async("#", "tool"))
        while not screening.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await screening, ticks

    verdict, ticks = asyncio.run(both())
    assert verdict.channel == "tool" and verdict.error is None and ticks >= 5


def test_many_threads_load_once(tiny_firewall: Tiny) -> None:  # noqa: F811
    firewall = tiny_firewall()
    engines: list[Any] = []
    threads = [threading.Thread(target=lambda: engines.append(firewall.engine)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 4 and all(engine is engines[0] for engine in engines)


def spied(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The batches that the engine is asked to judge, from now on."""
    batches: list[list[str]] = []
    judge = Engine.judge

    def noted(engine: Engine, texts: Sequence[str], channels: Sequence[str]) -> list[Verdict]:
        batches.append([*texts])
        return judge(engine, texts, channels)

    monkeypatch.setattr(Engine, "judge", noted)
    return batches


CALLERS = 64


def test_many_callers_get_each_their_own_verdict(
    tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    firewall = with_fault(tiny_firewall(), raises)
    texts = [
        [
            ("z" * (n % 40) if n % 3 else "a quiet text ") + f" {caller} {n}" + "#" * (n % 7 == 5)
            for n in range(8)
        ]
        for caller in range(CALLERS)
    ]
    alone = [[firewall.screen(text, CHANNELS[c % 4]) for text in own] for c, own in enumerate(texts)]
    batches = spied(firewall, monkeypatch)

    async def caller(number: int) -> list[Verdict]:
        return [await firewall.screen_async(text, CHANNELS[number % 4]) for text in texts[number]]

    async def callers(numbers: Iterable[int]) -> list[list[Verdict]]:
        return await asyncio.gather(*map(caller, numbers))

    found: dict[int, list[list[Verdict]]] = {}
    loops = [
        threading.Thread(
            target=lambda first=first: found.update({first: asyncio.run(callers(range(first, CALLERS, 2)))})
        )
        for first in (0, 1)
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    for first, own in found.items():
        for number, verdicts in zip(range(first, CALLERS, 2), own):
            assert all(map(same, alone[number], verdicts)) and len(verdicts) == len(texts[number])
            assert [v.error for v in verdicts] == [v.error for v in alone[number]]
    assert sorted(found) == [0, 1] and max(map(len, batches)) > 1  # they were screened together
    judged = Counter(
        text for batch in batches if len(batch) == 1 or "#" not in "".join(batch) for text in batch
    )
    assert judged == Counter(text for own in texts for text in own)  # each of them once


def test_the_same_verdict_alone_and_among_others(tiny_firewall: Tiny) -> None:  # noqa: F811
    firewall = tiny_firewall(batch_wait_ms=20)
    texts = [
        Z,
        "a quiet text",
        "",
        "a quiet text " * 2000,
        "z" * 200,
        " ",
    ]  # one of them goes alone, as it is large

    async def together() -> list[Verdict]:
        return await asyncio.gather(*(firewall.screen_async(text) for text in texts))

    for one, other in zip(asyncio.run(together()), map(firewall.screen, texts)):
        assert same(one, other)


@pytest.mark.parametrize("policy", ["block", "review", "allow"])
def test_too_many_callers_are_answered_by_policy(tiny_firewall: Tiny, policy: str) -> None:  # noqa: F811
    release = threading.Event()

    def waits(states: FloatArray) -> FloatArray:
        assert release.wait(30)
        return states

    firewall = with_fault(tiny_firewall(max_waiting=2, on_error=policy), waits)

    async def many() -> tuple[list[Verdict], list[Verdict]]:
        pending = {asyncio.create_task(firewall.screen_async("#")) for _ in range(10)}
        refused: list[Verdict] = []
        while len(refused) < 6:  # two wait; none, one or two are being screened
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            refused += [task.result() for task in done]
        release.set()
        rest = await asyncio.gather(*pending)
        return refused + [one for one in rest if one.error], [one for one in rest if not one.error]

    refused, screened = asyncio.run(many())
    assert len(refused) + len(screened) == 10 and 2 <= len(screened) <= 4
    assert all("overloaded" in str(verdict.error) and verdict.action is Action(policy) for verdict in refused)
    assert all(verdict.error is None and verdict.tokens == 1 for verdict in screened)


def test_too_many_callers_are_an_error_when_asked(tiny_firewall: Tiny) -> None:  # noqa: F811
    firewall = with_fault(tiny_firewall(max_waiting=1, on_error="raise"), raises)

    async def many() -> list[Any]:
        return await asyncio.gather(*(firewall.screen_async("#") for _ in range(20)), return_exceptions=True)

    kinds = Counter(type(answer) for answer in asyncio.run(many()))
    assert set(kinds) == {OverloadedError, RuntimeError} and sum(kinds.values()) == 20


def test_cancelled_callers_leave_no_work(tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    begun, release = threading.Event(), threading.Event()

    def waits(states: FloatArray) -> FloatArray:
        begun.set()
        assert release.wait(30)
        return states

    firewall = with_fault(tiny_firewall(), waits)
    batches = spied(firewall, monkeypatch)

    async def give_up() -> None:
        first = asyncio.create_task(firewall.screen_async("#"))
        await asyncio.to_thread(begun.wait, 30)
        others = [asyncio.create_task(firewall.screen_async(f"text {n}")) for n in range(10)]
        await asyncio.sleep(0)
        for task in others[1:]:
            task.cancel()
        await asyncio.sleep(0)
        release.set()
        await first
        await others[0]

    asyncio.run(give_up())
    assert batches == [["#"], ["text 0"]]


def test_misuse_is_misuse_when_awaited(tiny_firewall: Tiny) -> None:  # noqa: F811
    firewall = tiny_firewall()
    with pytest.raises(TypeError, match="pass a str"):
        asyncio.run(firewall.screen_async(5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown channel 'email'"):
        asyncio.run(firewall.screen_async("text", "email"))
    assert firewall._engine is None


def test_many_texts_are_read_little_by_little(tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    class Text(str):
        """A text that can be referred to weakly."""

    monkeypatch.setattr("alknet_firewall.firewall._CHUNK_TEXTS", 10)
    alive: weakref.WeakSet[Text] = weakref.WeakSet()
    most = 0

    def texts() -> Iterator[str]:
        nonlocal most
        for n in range(60):
            text = Text(Z if n % 7 == 0 else f"a quiet text {n}")
            text.number = n  # type: ignore[attr-defined]
            alive.add(text)
            most = max(most, len(alive))
            yield text

    verdicts = tiny_firewall().screen_many(texts())
    assert [verdict.flagged for verdict in verdicts] == [n % 7 == 0 for n in range(60)]
    assert most <= 22  # the chunk in hand, and the one that is being screened


def test_a_text_that_comes_again_is_not_screened_again(
    tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    firewall = with_fault(tiny_firewall(cache_verdicts=3), raises)
    first = firewall.screen(Z)
    batches = spied(firewall, monkeypatch)
    assert firewall.screen(Z) == first == asyncio.run(firewall.screen_async(Z)) and batches == []
    assert firewall.screen_many(["a quiet text", Z, "#", "another"])[1] == first
    assert batches == [["a quiet text", "#", "another"], ["a quiet text"], ["#"], ["another"]]
    assert firewall.screen("#").error is not None and batches[-1] == ["#"]  # a fault may have passed
    assert firewall.screen(Z, "tool") != first and batches[-1] == [Z]
    assert len(firewall._verdicts) == 3


def test_every_text_is_screened_unless_asked_otherwise(
    tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    firewall = tiny_firewall()
    batches = spied(firewall, monkeypatch)
    assert firewall.screen(Z) == firewall.screen(Z) and batches == [[Z], [Z]]
