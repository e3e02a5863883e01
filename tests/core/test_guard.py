"""A source is passed on, read in one context, and closed however reading ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from alknet_firewall import Firewall, HoldBack, Verdict
from alknet_firewall.stream.guard import GuardedStream
from tests.core.test_firewall import BENIGN
from tests.core.test_holdback import LETTER, OPENING, PAYLOAD, TEXT
from tests.core.test_stream import Tiny, chunks, quick, tiny_firewall  # noqa: F401

STALL = object()
SPAN: ContextVar[str] = ContextVar("span", default="none")
Guard = Callable[..., GuardedStream]


class Source:
    """Brings what it is given: raises what is an exception, waits for ever at STALL. Tells when it is closed."""

    def __init__(self, *steps: object) -> None:
        self.steps = iter(steps)
        self.closed = self.taken = 0
        self.tasks: set[object] = set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        self.tasks.add(asyncio.current_task())
        await asyncio.sleep(0)
        self.taken += 1
        step = next(self.steps, None)
        if step is STALL:
            await asyncio.Event().wait()
        if isinstance(step, BaseException):
            raise step
        if step is None:
            raise StopAsyncIteration
        return step

    async def aclose(self) -> None:
        self.tasks.add(asyncio.current_task())
        await asyncio.sleep(0)
        self.closed += 1


class Generated(Source):
    """The same as a generator, whose `finally` undoes what its beginning set."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._run()

    async def _run(self) -> AsyncIterator[Any]:
        token = SPAN.set("open")
        try:
            while True:
                try:
                    yield await self.__anext__()
                except StopAsyncIteration:
                    return
        finally:
            SPAN.reset(token)  # a ValueError in another context

    async def aclose(self) -> None:
        await super().aclose()
        assert SPAN.get() == "none", "the generator is closed before"


@pytest.fixture(params=[False, True], ids=["in the reader's task", "in its own task"])
def guard(request: pytest.FixtureRequest, quick: Firewall) -> Guard:  # noqa: F811
    """Guards a source, read in one of the two ways; everything goes out at once, unless it is flagged."""

    def make(source: Any, **settings: Any) -> GuardedStream:
        stream = quick.stream_async("user", hold_back=HoldBack(**{"mode": "observe", **settings}))
        return GuardedStream(stream, source, timed=request.param)

    return make


@pytest.fixture(params=[Source, Generated])
def kind(request: pytest.FixtureRequest) -> Any:
    """An object that is its own iterator; a source that makes one."""
    return request.param


@pytest.fixture(autouse=True)
def _without_cyclic_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Runs it; nothing may be left to the loop to complain about."""

    async def watched() -> Any:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = await asyncio.wait_for(main, 30)
        gc.collect()
        await asyncio.sleep(0.01)
        assert complaints == []
        return result

    return asyncio.run(watched())


async def source_of(
    pieces: Sequence[str], log: list[str] | None = None, fail: bool = False
) -> AsyncIterator[str]:
    try:
        for piece in pieces:
            await asyncio.sleep(0)
            yield piece
        if fail:
            raise OSError("the line is dead")
    finally:
        if log is not None:
            log.append("closed")


# What goes on.


def test_a_source_is_passed_on(firewall: Firewall) -> None:
    async def read(text: str, log: list[str]) -> tuple[str, Verdict | None, Verdict]:
        guarded = firewall.guard_stream(source_of(list(chunks(text, [11])), log), "document")
        out = "".join([piece async for piece in guarded])
        return out, guarded.stopped, guarded.verdict

    log: list[str] = []
    out, stopped, verdict = run(read(LETTER * 5, log))
    assert (out, stopped) == (LETTER * 5, None) and verdict == firewall.screen(LETTER * 5, "document")
    out, stopped, verdict = run(read(TEXT * 3, log))
    assert TEXT.startswith(out) and len(out) <= len(OPENING) and stopped is not None and verdict.flagged
    assert log == ["closed", "closed"]


def test_a_source_that_fails_leaks_nothing(firewall: Firewall) -> None:
    async def read() -> str:
        out = ""
        with pytest.raises(OSError, match="dead"):
            async for piece in firewall.guard_stream(
                source_of([OPENING, PAYLOAD[:40]], fail=True), "document"
            ):
                out += piece
        return out

    before = firewall.stream_memory
    assert "Ignore" not in run(read())
    assert firewall.stream_memory == before


def test_a_source_that_stalls_is_judged_in_time_and_one_that_is_left_is_closed(firewall: Firewall) -> None:
    async def read(source: Source) -> str:
        guarded = firewall.guard_stream(source, "document", hold_back=HoldBack(max_delay_ms=20))
        piece = await anext(guarded)
        reading = asyncio.ensure_future(anext(guarded))
        await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert reading.cancelled() and source.closed == 1
        return piece

    source = Source(BENIGN, STALL)
    before = firewall.stream_memory
    assert run(read(source)) == BENIGN
    assert firewall.stream_memory == before


def test_every_piece_before_a_failure_arrives(guard: Guard) -> None:
    async def read() -> None:
        guarded, out = guard(Source("a", "", "b", "c", OSError("dead"))), ""
        with pytest.raises(OSError, match="dead"):
            async for piece in guarded:
                out += piece
                await asyncio.sleep(0.005)  # it has failed long before it is read
        assert out == "abc"
        with pytest.raises(StopAsyncIteration):
            await anext(guarded)

    run(read())


def test_a_source_is_not_read_far_ahead(guard: Guard) -> None:
    async def read(source: Source) -> None:
        async with guard(source) as guarded:
            for number in range(1, 5):
                await anext(guarded)
                await asyncio.sleep(0.005)
                assert number <= source.taken <= number + 2

    run(read(Source(*"abcdefghij")))


# One context.


@pytest.mark.parametrize("pieces", [0, 3, 9])
def test_all_steps_of_a_source_are_in_one_task(guard: Guard, kind: Any, pieces: int) -> None:
    async def read(source: Source) -> None:
        async with guard(source) as guarded:
            async for _ in guarded:
                pieces_left.pop()
                if not pieces_left:
                    break
        assert len(source.tasks) == 1 and source.closed == 1
        assert SPAN.get() == "none"

    pieces_left = list(range(pieces or 1))
    run(read(kind(*"abcdef"[: pieces or 6])))


def test_a_source_that_never_stalls_is_read_in_the_readers_task(quick: Firewall) -> None:  # noqa: F811
    async def read(source: Source) -> None:
        stream = quick.stream_async("user", hold_back=HoldBack())
        assert [piece async for piece in GuardedStream(stream, source, timed=False)] == ["abc"]
        assert source.tasks == {asyncio.current_task()}

    run(read(Source(*"abc")))


# Misuse.


@pytest.mark.parametrize("source", [["a", "b"], "text", None, source_of, iter("ab")])
def test_what_is_no_source_is_refused_at_once(quick: Firewall, source: Any) -> None:  # noqa: F811
    with pytest.raises(
        TypeError, match=rf"cannot guard {type(source).__name__}: an async iterable of strings"
    ):
        quick.guard_stream(source)


def test_a_source_that_was_not_awaited_is_refused_at_once(quick: Firewall) -> None:  # noqa: F811
    async def ask() -> AsyncIterator[str]:
        return source_of(["a"])

    asking: Any = ask()
    with pytest.raises(TypeError, match="cannot guard coroutine: .*; await it first"):
        quick.guard_stream(asking)
    asking.close()
