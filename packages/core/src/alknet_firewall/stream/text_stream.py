"""A text that arrives in pieces, for callers: feed it, ask for what may go on, close it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from alknet_firewall.arguments import check_channel, check_text
from alknet_firewall.config import FirewallConfig
from alknet_firewall.engine import Engine
from alknet_firewall.errors import StreamError
from alknet_firewall.faults import verdict_on_fault
from alknet_firewall.stream.events import event_of
from alknet_firewall.stream.holdback import HoldBack, Holder
from alknet_firewall.stream.incremental import Screening
from alknet_firewall.stream.memory import SharedMemory
from alknet_firewall.stream.sinks import Sink
from alknet_firewall.verdict import Action, Verdict

Load = Callable[[], Engine]


class TextStream:
    """Screens one text while it arrives. For one thread at a time; a second one gets an error that says so.

    Leaving its block closes it; if the block is left by an exception, what waits is dropped and not screened.
    """

    def __init__(
        self,
        load: Load,
        config: FirewallConfig,
        channel: str,
        memory: SharedMemory,
        hold_back: HoldBack | None,
        *,
        name: str | None = None,
        sink: Sink | None = None,
    ) -> None:
        """As `Firewall.stream` makes it; nothing is loaded before the first text."""
        check_channel(channel)
        self._load, self._config, self._channel, self._memory = load, config, channel, memory
        self._screening: Screening | None = None
        self._holder = None if hold_back is None else Holder(hold_back)
        self._name, self._sink = name, sink
        self._arrived = 0  # characters
        self._verdict = Verdict(Action.ALLOW, 0.0, 1.0, channel=channel)
        self._closed = self._abandoned = False
        self._lock = threading.Lock()

    @property
    def verdict(self) -> Verdict:
        """On what was read so far: the text up to the last look, and after `close` the whole."""
        return self._verdict

    @property
    def stopped(self) -> Verdict | None:
        """The verdict that ended a stream held back in mode `block`; None while it goes on."""
        return None if self._holder is None else self._holder.stopped

    def feed(self, text: str) -> Verdict:
        """Takes the next piece, of any length.

        Returns:
            The verdict so far, see `verdict`. A fault while screening becomes one by the policy `on_error`; nothing is
            lost, and the next piece tries again.

        Raises:
            TypeError: `text` is not a string.
            StreamError: The stream is closed, or another thread is feeding it.
        """
        check_text(text)
        with self._alone():
            self._check_open()
            if self.stopped is not None:
                return self._verdict
            self._arrived += len(text)
            if self._holder is not None:
                self._holder.add(text)
            return self._work(text, finish=False)

    def close(self) -> Verdict:
        """There is no more. Returns the verdict on the whole text, that of `screen`; again if it was closed before."""
        with self._alone():
            if self._closed:
                return self._verdict
            if self.stopped is None:
                self._work("", finish=True)
            self._closed = True
            self._forget()
            return self._verdict

    def release(self) -> str:
        """Hands out what may go on by now: it has been screened, with what follows it.

        Raises:
            StreamError: The stream was made without `hold_back`, or another thread is feeding it.
        """
        if self._holder is None:
            raise StreamError("nothing is held back: make the stream with hold_back=HoldBack()")
        with self._alone():
            if not self._closed and self.overdue_in() == 0:
                self._work("", finish=False)
            return self._holder.release()

    def overdue_in(self) -> float | None:
        """Seconds until `release` would judge what has waited for `max_delay_ms`; None if nothing does."""
        left = None if self._holder is None else self._holder.overdue_in()
        return None if left is None else max(left, 0.0)

    def abandon(self) -> None:
        """Ends it without a verdict: what waits is dropped, and its memory is free."""
        self._closed = self._abandoned = True
        if self._lock.acquire(blocking=False):  # else whoever is at work forgets when that is done
            try:
                self._forget()
            finally:
                self._lock.release()

    def is_due(self, text: str) -> bool:
        """Whether feeding `text` may take a while: otherwise it is only laid by."""
        return self._screening is None or self._screening.is_due(text)

    def __enter__(self) -> TextStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _work(self, text: str, *, finish: bool) -> Verdict:
        before = self._verdict.action
        try:
            if self._screening is None:
                self._screening = Screening(self._load(), self._channel, self._memory)
            self._screening.feed(text)
            if finish:
                self._screening.finish()
            if self._holder is not None:
                self._holder.update(self._screening, finished=finish)
            self._verdict = self._screening.verdict
        except Exception as error:
            if self._screening is not None:
                self._screening.recover()
            self._verdict = verdict_on_fault(self._config, error, self._channel)
            if self._holder is not None:
                self._holder.fail(self._verdict)
        if self.stopped is not None:
            self._forget()
            if not self._verdict.flagged:
                self._verdict = self.stopped
        if self._sink is not None and (finish or self._verdict.action is not before):
            self._sink(event_of(self._sink, self._verdict, stream=self._name, offset=self._arrived))
        return self._verdict

    def _forget(self) -> None:
        if self._screening is not None:
            self._screening.forget()
            self._screening = None
        if self._abandoned and self._holder is not None:
            self._holder.drop()

    def _check_open(self) -> None:
        if self._closed:
            raise StreamError("the stream is closed: make a new one for the next text")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise StreamError("the stream is in use by another thread: a stream is for one thread at a time")
        try:
            yield
        finally:
            if self._abandoned:
                self._forget()
            self._lock.release()


class AsyncTextStream:
    """As `TextStream`; the event loop goes on while text is screened."""

    def __init__(self, stream: TextStream) -> None:
        """Takes a stream that nobody else uses."""
        self._stream = stream

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
        if isinstance(text, str) and not self._stream.is_due(text):
            return self._stream.feed(text)
        return await asyncio.to_thread(self._stream.feed, text)

    async def close(self) -> Verdict:
        """As of `TextStream`."""
        return await asyncio.to_thread(self._stream.close)

    async def release(self) -> str:
        """As of `TextStream`."""
        if self._stream.overdue_in() != 0:
            return self._stream.release()
        return await asyncio.to_thread(self._stream.release)

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
