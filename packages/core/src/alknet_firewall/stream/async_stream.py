"""A text that arrives in pieces, beside an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from alknet_firewall.detector.detector import usable_cores
from alknet_firewall.stream.text_stream import TextStream
from alknet_firewall.verdict import Verdict

P = ParamSpec("P")
R = TypeVar("R")

_threads: dict[int, ThreadPoolExecutor] = {}  # by process: threads do not survive a fork


class AsyncTextStream:
    """As `TextStream`; the event loop goes on while text is screened, in threads that all streams share.

    What a caller began goes on if it is cancelled: the next call waits until that is done.
    """

    def __init__(self, stream: TextStream) -> None:
        """Takes a stream that nobody else uses."""
        self._stream = stream
        self._at_work: asyncio.Future[Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """As of `TextStream`."""
        return self._stream.verdict

    @property
    def stopped(self) -> Verdict | None:
        """As of `TextStream`."""
        return self._stream.stopped

    async def feed(self, text: str) -> Verdict:
        """As of `TextStream`."""
        if isinstance(text, str) and not self._busy and not self._stream.may_compute(text):
            return self._stream.feed(text)
        return await self._beside(self._stream.feed, text)

    async def close(self) -> Verdict:
        """As of `TextStream`."""
        return await self._beside(self._stream.close)

    async def release(self) -> str:
        """As of `TextStream`."""
        if not self._busy and not self._stream.may_compute(""):
            return self._stream.release()
        return await self._beside(self._stream.release)

    def overdue_in(self) -> float | None:
        """As of `TextStream`."""
        return self._stream.overdue_in()

    def abandon(self) -> None:
        """As of `TextStream`."""
        self._stream.abandon()

    async def __aenter__(self) -> AsyncTextStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abandon()

    @property
    def _busy(self) -> bool:
        return self._at_work is not None and not self._at_work.done()

    async def _beside(self, work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        while self._at_work is not None and self._busy:
            await asyncio.wait({self._at_work})
        running = asyncio.get_running_loop().run_in_executor(_executor(), lambda: work(*given, **named))
        running.add_done_callback(lambda done: done.cancelled() or done.exception())  # somebody has looked at it
        self._at_work = running
        return await asyncio.shield(running)


def _executor() -> ThreadPoolExecutor:
    process = os.getpid()
    if process not in _threads:
        _threads[process] = ThreadPoolExecutor(max(2, usable_cores()), thread_name_prefix="alknet-firewall-stream")
    return _threads[process]
