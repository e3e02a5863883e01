"""A text that arrives in pieces, for callers: feed it, ask for what may go on, close it."""

from __future__ import annotations

import os
import threading
from collections import deque
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
from alknet_firewall.stream.sinks import Sink, check_sink
from alknet_firewall.verdict import Action, Verdict

Load = Callable[[], Engine]

_AFTER_FAULT = 512  # characters that must arrive until what failed is tried again
_MOST_UNREAD = 1 << 24  # characters that may wait for screening to work again
_MARGIN = 0.05  # s before text is overdue


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
        check_sink(sink)
        self._load, self._config, self._channel, self._memory = load, config, channel, memory
        self._screening: Screening | None = None
        self._holder = None if hold_back is None else Holder(hold_back)
        delay = None if hold_back is None else hold_back.max_delay_ms
        self._hasty = delay is not None and delay / 1000 <= _MARGIN  # what comes is overdue at once
        # Where nothing leaves before its window is full, there is no use in looking at half of one.
        self._early = hold_back is None or hold_back.look_ahead is not None
        self._name, self._sink = name, sink
        self._unread: deque[str] = deque()  # arrived while screening failed
        self._arrived = self._try_at = 0  # characters
        self._verdict = self._told = Verdict(Action.ALLOW, 0.0, 1.0, channel=channel)
        self._closed = self._abandoned = False
        self._lock, self._process = threading.Lock(), os.getpid()

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
            lost, and it is tried again when more has come.

        Raises:
            TypeError: `text` is not a string.
            StreamError: The stream is closed, another thread is feeding it, or the process has forked since.
        """
        check_text(text)
        with self._alone():
            self._check_open()
            if self.stopped is None:
                self._arrived += len(text)
                self._unread.append(text)
                if self._holder is not None:
                    self._holder.add(text)
                if self._arrived >= self._try_at:
                    self._read()
            return self._verdict

    def close(self) -> Verdict:
        """There is no more.

        Returns:
            The verdict on the whole text, that of `screen`; of a stream that was stopped, that which stopped it.

        Raises:
            StreamError: The stream was abandoned, another thread is feeding it, or the process has forked since.
        """
        with self._alone():
            if self._abandoned:
                raise StreamError("the stream was abandoned: there is no verdict on the whole text")
            if not self._closed:
                if self.stopped is None:
                    self._read(finish=True)
                self._closed = True
                self._forget()
                self._tell(self._verdict is not self._told)
            return self._verdict

    def release(self) -> str:
        """Hands out what may go on by now: it has been screened, with what follows it.

        Raises:
            StreamError: The stream was made without `hold_back`, another thread is feeding it, or the process has
                forked since.
        """
        if self._holder is None:
            raise StreamError("nothing is held back: make the stream with hold_back=HoldBack()")
        with self._alone():
            if not self._closed and self.overdue_in() == 0 and self._arrived >= self._try_at:
                self._read()
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

    def may_compute(self, text: str) -> bool:
        """Whether feeding `text` may take a while: otherwise it is only laid by."""
        screening, overdue = self._screening, self.overdue_in()
        if screening is None or self._hasty or (overdue is not None and overdue <= _MARGIN):
            return True
        return screening.is_due(text)

    def __enter__(self) -> TextStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _read(self, *, finish: bool = False) -> None:
        """Screens what has arrived, and lets go on what is clear."""
        try:
            screening = self._screening or Screening(self._load(), self._channel, self._memory, early=self._early)
            self._screening = screening
            while self._unread:
                screening.feed(self._unread.popleft())  # it loses nothing, whatever goes wrong
            if finish:
                screening.finish()
            if self._holder is not None:
                self._holder.update(screening, finished=finish)
            self._verdict = screening.verdict
        except Exception as error:
            self._fail(error)
        if self.stopped is not None:
            self._forget()
            if not self._verdict.flagged:
                self._verdict = self.stopped
        self._tell(self._verdict.action is not self._told.action)

    def _fail(self, error: Exception) -> None:
        if self._screening is not None:
            self._screening.recover()
        if self._arrived > _MOST_UNREAD and self._screening is None:
            self._unread.clear()
            self._closed = True  # of what was never read there can be no verdict but the policy's
        self._try_at = self._arrived + _AFTER_FAULT
        self._verdict = verdict_on_fault(self._config, error, self._channel)
        if self._holder is not None:
            self._holder.fail(self._verdict)

    def _tell(self, wanted: bool) -> None:
        if self._sink is not None and wanted:
            self._told = self._verdict
            self._sink(event_of(self._sink, self._verdict, stream=self._name, offset=self._arrived))

    def _forget(self) -> None:
        if self._screening is not None:
            self._screening.forget()
            self._screening = None
        self._unread.clear()
        if self._abandoned and self._holder is not None:
            self._holder.drop()

    def _check_open(self) -> None:
        if self._closed:
            raise StreamError("the stream is closed: make a new one for the next text")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if os.getpid() != self._process:  # neither its lock nor its model is of this process
            raise StreamError("the process has forked since the stream was made: make a new one in the child")
        if not self._lock.acquire(blocking=False):
            raise StreamError("the stream is in use by another thread: a stream is for one thread at a time")
        try:
            yield
        finally:
            if self._abandoned:
                self._forget()
            self._lock.release()
