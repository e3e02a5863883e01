"""Passes an asynchronous source on as far as it was screened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

from alknet_firewall.stream.async_stream import AsyncTextStream
from alknet_firewall.verdict import Verdict


class GuardedStream(AsyncIterator[str]):
    """What may go on of a source, piece by piece. It ends where the source ends, or where flagged text would begin."""

    def __init__(self, stream: AsyncTextStream, source: AsyncIterable[str]) -> None:
        """Takes a stream that is held back; reads nothing yet."""
        self._stream, self._source = stream, source
        self._pieces = self._run()

    @property
    def verdict(self) -> Verdict:
        """On what was read so far; after the end on the whole, or on where it was stopped."""
        return self._stream.verdict

    @property
    def stopped(self) -> Verdict | None:
        """The verdict that ended it before its source did; None otherwise."""
        return self._stream.stopped

    async def __anext__(self) -> str:
        return await self._pieces.__anext__()

    async def aclose(self) -> None:
        """Ends it: what waits is dropped."""
        await self._pieces.aclose()

    async def _run(self) -> AsyncGenerator[str, None]:
        source = aiter(self._source)
        coming: asyncio.Task[str] | None = None
        try:
            while self._stream.stopped is None:
                if coming is None:
                    coming = asyncio.ensure_future(_next(source))
                await asyncio.wait({coming}, timeout=self._stream.overdue_in())
                if coming.done():
                    text, coming = coming, None
                    try:
                        await self._stream.feed(text.result())
                    except _Ended:
                        break
                piece = await self._stream.release()
                if piece:
                    yield piece
            await self._stream.close()
            piece = await self._stream.release()
            if piece:
                yield piece
        finally:  # the source failed, or whoever reads has gone: nothing more goes out
            self._stream.abandon()
            if coming is not None:
                coming.cancel()
            close = getattr(source, "aclose", None)
            if close is not None and (coming is None or coming.done()):
                await close()


class _Ended(Exception):
    """The source has no more. A StopAsyncIteration cannot be the result of a task."""


async def _next(source: AsyncIterator[str]) -> str:
    try:
        return await anext(source)
    except StopAsyncIteration:
        raise _Ended from None
