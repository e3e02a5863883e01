"""Passes an asynchronous source on as far as it was screened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, Generic, TypeVar

from alknet_firewall.stream.async_stream import AsyncTextStream
from alknet_firewall.verdict import Verdict

T = TypeVar("T")
G = TypeVar("G", bound="Guarded[Any]")


class Guarded(AsyncIterator[T], Generic[T]):
    """What may go on of a source. That is closed when reading ends: with it, by an error in it, by cancellation.

    Who may leave before, by `break`, `return` or an error of their own, reads within `async with`, which closes it at
    once; without that Python closes it soon after, in another task.
    """

    def __init__(
        self,
        passing: AsyncGenerator[T, None],
        source: AsyncIterable[T],
        cancel: Callable[[], object] | None = None,
    ) -> None:
        """Takes what reads the source, and closes it once it has begun; it must not refer to this object."""
        self._passing, self._source, self._cancel = passing, source, cancel
        self._begun = False

    async def __anext__(self) -> T:
        self._begun = True
        return await self._passing.__anext__()

    async def aclose(self) -> None:
        """Ends it: what waits is dropped. For whoever reads; from elsewhere, cancel that task."""
        await self._passing.aclose()
        if self._begun:
            return
        self._begun = True  # what never began does not clean up
        await _leave(self._source, self._source, self._cancel)

    async def __aenter__(self: G) -> G:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class GuardedStream(Guarded[str]):
    """What may go on of a source of text, piece by piece: `async with fw.guard_stream(source) as guarded:`.

    It ends where the source ends, or before the window in which flagged text was found; of that window only what was
    allowed to go early (`HoldBack.look_ahead`, `HoldBack.max_delay_ms`) can be out. The source is closed then, and
    when whoever reads fails, is cancelled or goes; see `Guarded`.
    """

    def __init__(self, stream: AsyncTextStream, source: AsyncIterable[str], *, timed: bool = True) -> None:
        """Reads nothing yet.

        Args:
            stream: One that is held back, and not used by anybody else.
            source: Pieces of one text.
            timed: Whether text may become overdue in `stream`. The source is then read and closed in one task of its
                own, which is at most two pieces ahead; otherwise in the task of whoever reads.

        Raises:
            TypeError: `source` cannot be read by `async for`. While it is read: a piece is not a string.
        """
        check_source(source, "strings")
        super().__init__(_run(stream, source, timed), source)
        self._stream = stream

    @property
    def verdict(self) -> Verdict:
        """On what was read so far; after the end on the whole, or on where it was stopped."""
        return self._stream.verdict

    @property
    def stopped(self) -> Verdict | None:
        """The verdict that ended it before its source did; None otherwise."""
        return self._stream.stopped


def check_source(source: object, of: str) -> None:
    """Raises TypeError unless `source` is an async iterable, of what is named in `of`."""
    if not isinstance(source, AsyncIterable):
        awaitable = "; await it first" if isinstance(source, Awaitable) else ""
        wanted = f"an async iterable of {of} is wanted, such as an async generator"
        raise TypeError(f"cannot guard {type(source).__name__}: {wanted}{awaitable}")


async def each(
    source: AsyncIterable[T], cancel: Callable[[], object] | None = None
) -> AsyncGenerator[T, None]:
    """What a source brings. Its end, its failure, and closing this close it, if it can be closed.

    Args:
        source: Anything to read by `async for`.
        cancel: Called before it is closed, unless it has ended by then.
    """
    items, ended = aiter(source), False
    try:
        while not ended:
            try:
                item = await anext(items)
            except StopAsyncIteration:
                ended = True
            else:
                yield item
    finally:
        await _leave(source, items, None if ended else cancel)


async def _leave(source: object, items: object, cancel: Callable[[], object] | None) -> None:
    async with AsyncExitStack() as last_first:  # all is done, whatever fails
        if items is not source:
            last_first.push_async_callback(_close, source)
        last_first.push_async_callback(_close, items)
        if cancel is not None:
            last_first.callback(cancel)


async def _close(source: object) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


async def _run(stream: AsyncTextStream, source: AsyncIterable[str], timed: bool) -> AsyncGenerator[str, None]:
    """Refers to no GuardedStream: one that nobody reads any more is gone at once, and this is closed."""
    try:
        async with aclosing(_read_ahead(source, stream.overdue_in) if timed else each(source)) as pieces:
            async for piece in pieces:
                if piece != "":
                    await stream.feed(piece)
                released = await stream.release()
                if released:
                    yield released
                if stream.stopped is not None:
                    break
        await stream.close()
        released = await stream.release()
        if released:
            yield released
    finally:  # the source failed, or whoever reads has gone: nothing more goes out
        stream.abandon()


async def _read_ahead(
    source: AsyncIterable[str], overdue_in: Callable[[], float | None]
) -> AsyncGenerator[str, None]:
    """Pieces of a source, and an empty one whenever text is overdue.

    One task reads the source and closes it: what is set in a context there can be reset, as spans and scopes need.
    """
    queue: asyncio.Queue[str] = asyncio.Queue(1)
    stirred, left = asyncio.Event(), False

    async def read() -> None:
        async with aclosing(each(source)) as pieces:
            async for piece in pieces:
                if left:  # a source may answer its cancellation with a piece
                    return
                await queue.put(piece)
                stirred.set()

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: stirred.set())
    try:
        while not (reading.done() and queue.empty()):
            stirred.clear()
            if queue.empty():
                await _set_within(stirred, overdue_in())
            yield "" if queue.empty() else queue.get_nowait()
        reading.result()
    finally:
        left = True
        was_done = reading.done()
        if not was_done:
            reading.cancel()
            await asyncio.wait({reading})
        error = None if reading.cancelled() else reading.exception()
        if error is not None and not was_done:
            raise error


async def _set_within(event: asyncio.Event, seconds: float | None) -> None:
    """Waits for an event, but not longer; without a task, so that no cancellation is lost as in `wait_for`."""
    timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        if timer is not None:
            timer.cancel()
