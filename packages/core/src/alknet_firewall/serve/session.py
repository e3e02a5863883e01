"""One stream of text that a client sends: its settings, and the events that come of what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alknet_firewall.serve.bodies import Channel
from alknet_firewall.serve.meters import Meters
from alknet_firewall.serve.problems import Problem, ProblemError, fault_of, overloaded, shown
from alknet_firewall.serve.screener import Screener
from alknet_firewall.serve.settings import ServeSettings
from alknet_firewall.stream.holdback import HoldBack
from alknet_firewall.stream.sinks import Sink
from alknet_firewall.verdict import Verdict

Event = dict[str, Any]
Pieces = AsyncIterator[str | None]
"""Pieces of text as they come; None when a time that was asked for is over."""


class StreamQuery(BaseModel):
    """What the address of a stream says behind the question mark."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel = "response"
    hold_back: Literal["none", "block", "redact", "observe"] = "none"
    look_ahead: int | None = Field(None, ge=1)
    clear_rate: float = Field(0.2, gt=0, le=1)
    max_delay_ms: float | None = Field(None, ge=0, allow_inf_nan=False)

    def settings(self) -> HoldBack | None:
        """How text is held back; None: only verdicts are wanted."""
        if self.hold_back == "none":
            return None
        return HoldBack(self.hold_back, self.look_ahead, self.clear_rate, self.max_delay_ms)


class Streams:
    """The streams of a server: so many at a time and no more."""

    def __init__(
        self, screener: Screener, settings: ServeSettings, meters: Meters, sink: Sink | None
    ) -> None:
        """Takes what all of them share; `sink` is the audit log's."""
        self.screener, self.settings, self.sink = screener, settings, sink
        self._meters, self._open = meters, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one stream.

        Raises:
            ProblemError: None is free.
        """
        if self._open >= self.settings.max_streams:
            raise ProblemError(overloaded(f"{self._open} streams are open already."))
        self._open += 1
        self._meters.streams.inc()
        try:
            yield
        finally:
            self._open -= 1
            self._meters.streams.dec()


class Session:
    """One stream. `events` may be read once."""

    def __init__(self, streams: Streams, query: StreamQuery) -> None:
        """Makes the stream; nothing is loaded yet."""
        self._streams, self._held = streams, query.settings()
        self._stream = streams.screener.firewall.stream_async(
            query.channel, hold_back=self._held, sink=streams.sink
        )
        self._told: Verdict = self._stream.verdict

    def overdue_in(self) -> float | None:
        """Seconds in which `events` wants to hear None, so that what waited too long goes on; None: never."""
        return self._stream.overdue_in()

    async def events(self, pieces: Pieces) -> AsyncGenerator[Event, None]:
        """What comes of the pieces, the last event is `end`, or `stopped`, or `error`.

        If it is not read to its end, what waits is dropped and not screened.
        """
        finished, read = False, 0
        try:
            async for piece in pieces:
                if piece is not None:
                    read += len(piece.encode("utf-8", "surrogatepass"))
                    if read > self._streams.settings.max_stream_bytes:
                        yield error_event(_too_long(self._streams.settings.max_stream_bytes))
                        return
                    await self._stream.feed(piece)
                async for event in self._news():
                    yield event
                if self._stream.stopped is not None:
                    break
            last = await self._stream.close()
            finished = True
            self._streams.screener.streamed(last)
            async for event in self._news():
                yield event
            yield self._last_event(last)
        finally:
            if not finished:
                self._stream.abandon()

    async def _news(self) -> AsyncIterator[Event]:
        if self._stream.verdict is not self._told:
            self._told = self._stream.verdict
            yield {"event": "verdict", "verdict": shown(self._told)}
        released = await self._stream.release() if self._held is not None else ""
        if released:
            yield {"event": "text", "text": released}

    def _last_event(self, verdict: Verdict) -> Event:
        problem = fault_of(verdict)
        if problem is not None:
            return error_event(problem)
        return {"event": "stopped" if self._stream.stopped else "end", "verdict": verdict.to_dict()}


def error_event(problem: Problem) -> Event:
    """A problem as the last event of a stream."""
    return {"event": "error", **problem.body()}


async def timed(pieces: AsyncIterator[str], session: Session, idle_seconds: float) -> Pieces:
    """Pieces as they come, and None between them whenever the session wants to hear of the time.

    Raises:
        ProblemError: Nothing came for `idle_seconds`.
    """
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[str] = asyncio.ensure_future(anext(pieces))
    silent_from = loop.time()
    try:
        while True:
            left = idle_seconds - (loop.time() - silent_from)
            if left <= 0:
                raise ProblemError(_idle(idle_seconds))
            overdue = session.overdue_in()
            await asyncio.wait({coming}, timeout=left if overdue is None else min(left, overdue))
            if not coming.done():
                yield None
                continue
            try:
                piece = coming.result()
            except StopAsyncIteration:
                return
            yield piece
            silent_from = loop.time()
            coming = asyncio.ensure_future(anext(pieces))
    finally:
        coming.cancel()


def _too_long(most: int) -> Problem:
    return Problem(
        413, "too-large", f"The stream is longer than {most} bytes.", "Open a new one for what follows."
    )


def _idle(seconds: float) -> Problem:
    return Problem(408, "slow", f"Nothing came for {seconds:g} s.", "Send text, or end the stream.")
