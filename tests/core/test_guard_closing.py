"""A source that is guarded is closed, however reading ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest

from alknet_firewall import Firewall, HoldBack
from alknet_firewall.stream.guard import GuardedStream
from tests.core.test_guard import STALL, Guard, Source, guard, kind, run  # noqa: F401
from tests.core.test_stream import Tiny, chunks, quick, tiny_firewall  # noqa: F401


async def _cancel(reader: Coroutine[Any, Any, None], after: float) -> None:
    reading = asyncio.ensure_future(reader)
    await asyncio.sleep(0)  # it has begun
    await asyncio.sleep(after)
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()


async def _to_the_end(guarded: GuardedStream) -> None:
    assert "".join([piece async for piece in guarded]) == "ab"


async def _break(guarded: GuardedStream) -> None:
    async with guarded:
        async for _ in guarded:
            break


async def _fail(guarded: GuardedStream) -> None:
    with pytest.raises(ZeroDivisionError):
        async with guarded:
            async for _ in guarded:
                raise ZeroDivisionError


async def _close(guarded: GuardedStream) -> None:
    assert await anext(guarded) == "a"
    await guarded.aclose()
    await guarded.aclose()


async def _read_nothing(guarded: GuardedStream) -> None:
    async with guarded:
        pass
    await guarded.aclose()


@pytest.mark.parametrize("leave", [_to_the_end, _break, _fail, _close, _read_nothing])
def test_it_is_closed_when_reading_ends(
    guard: Guard, kind: Any, leave: Callable[[GuardedStream], Awaitable[None]]  # noqa: F811
) -> None:
    async def read(source: Source) -> None:
        guarded = guard(source)
        await leave(guarded)
        assert source.closed == 1
        with pytest.raises(StopAsyncIteration):
            await anext(guarded)

    run(read(kind("a", "b")))


@pytest.mark.parametrize("steps", [("a", STALL), (STALL,), ("a", "b", "c", "d", "e", STALL)])
@pytest.mark.parametrize("after", [0, 0.01])
def test_it_is_closed_when_a_reader_is_cancelled(
    guard: Guard, kind: Any, steps: tuple[object, ...], after: float  # noqa: F811
) -> None:
    async def read(source: Source) -> None:
        async def consume() -> None:
            async with guard(source) as guarded:
                async for _ in guarded:
                    await asyncio.sleep(0.004)

        await _cancel(consume(), after)
        assert source.closed == 1

    run(read(kind(*steps)))


@pytest.mark.parametrize("steps", [("a", STALL), (STALL,)])
def test_it_is_closed_without_a_block_when_a_reader_that_waits_is_cancelled(
    guard: Guard, kind: Any, steps: tuple[object, ...]  # noqa: F811
) -> None:
    async def read(source: Source) -> None:
        await _cancel(_to_the_end(guard(source)), 0.01)
        assert source.closed == 1

    run(read(kind(*steps)))


@pytest.mark.parametrize(
    ("error", "steps"), [(TypeError, ("a", 5, "b")), (TypeError, (b"a",)), (OSError, (OSError(),))]
)
def test_it_is_closed_after_an_error(
    guard: Guard, kind: Any, error: type[Exception], steps: tuple[object, ...]  # noqa: F811
) -> None:
    async def read(source: Source) -> None:
        with pytest.raises(error):
            async for _ in guard(source):
                pass
        assert source.closed == 1

    run(read(kind(*steps)))


def test_it_is_closed_when_text_is_flagged(guard: Guard, kind: Any) -> None:  # noqa: F811
    async def read(source: Source) -> None:
        guarded = guard(source, mode="block")
        assert "z" not in "".join([piece async for piece in guarded])
        assert guarded.stopped is not None and source.closed == 1

    run(read(kind(*["the cat " * 20, "z" * 400, "zz " * 200, "more " * 100] * 2, STALL)))


def test_it_is_closed_without_a_block_as_soon_as_nobody_holds_it(guard: Guard) -> None:  # noqa: F811
    async def read(source: Source) -> None:
        async for _ in guard(source):
            break
        await asyncio.sleep(0.02)  # the loop closes it; no cyclic collection is needed, and none runs here
        assert source.closed == 1

    run(read(Source("a", "b", STALL)))


def test_an_error_while_closing_is_told(guard: Guard) -> None:  # noqa: F811
    class Failing(Source):
        async def aclose(self) -> None:
            raise OSError("cannot hang up")

    async def read() -> None:
        with pytest.raises(OSError, match="hang up"):
            await _break(guard(Failing("a", STALL)))

    run(read())


def test_an_error_that_was_not_reached_is_nobodys(guard: Guard) -> None:  # noqa: F811
    async def read(source: Source) -> None:
        async with guard(source) as guarded:
            async for _ in guarded:
                await asyncio.sleep(0.005)
                break
        assert source.closed == 1

    run(read(Source("a", OSError("not reached"))))


def test_a_source_that_was_cancelled_itself_ends_the_reading(guard: Guard) -> None:  # noqa: F811
    async def read() -> None:
        with pytest.raises(asyncio.CancelledError):
            async for _ in guard(Source("a", asyncio.CancelledError())):
                pass

    run(read())


def test_a_source_that_goes_on_when_it_is_cancelled_is_left(quick: Firewall) -> None:  # noqa: F811
    async def stubborn(log: list[str]) -> AsyncIterator[str]:
        try:
            yield "a"
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    yield "(cancelled)"
        finally:
            log.append("closed")

    async def read(log: list[str]) -> None:
        stream = quick.stream_async("user", hold_back=HoldBack(mode="observe"))
        async with GuardedStream(stream, stubborn(log)) as guarded:
            assert await anext(guarded) == "a"
            await asyncio.sleep(0.005)
        assert log == ["closed"]

    run(read([]))
