"""Where verdicts are told: JSON lines, `logging`, or a function of one's own. The text goes along only if asked for.

A sink has a thread of its own, and a queue of bounded length before it. If that is full, whoever has a verdict to tell
waits: nothing is lost. What goes wrong in a sink never changes a verdict.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from alknet_firewall.forks import renew_in_children
from alknet_firewall.stream.events import VerdictEvent

QUEUE = 1024
"""Events that may wait for a slow sink, unless told otherwise."""

_AT_EXIT = 5.0  # s that all sinks together may take to write what waits when the process ends
_log = logging.getLogger(__name__)
_all: weakref.WeakSet[Sink] = weakref.WeakSet()
_drained: set[int] = set()  # processes of multiprocessing that are to drain at their end


class Sink(ABC):
    """Takes events, in order, from any number of threads, and writes them in a thread of its own.

    Attributes:
        include_text: Whether the text goes along.
        include_hash: Whether its SHA-256 goes along.
        hash_key: Key of that hash, which is then HMAC-SHA-256; None for one without.
        errors: Events that could not be written; the first of them is logged.
    """

    def __init__(
        self,
        *,
        include_text: bool = False,
        include_hash: bool = False,
        hash_key: bytes | None = None,
        queue_size: int = QUEUE,
    ) -> None:
        """Starts nothing before the first event.

        Args:
            include_text: Whether events hold the text.
            include_hash: Whether events hold its SHA-256.
            hash_key: Makes that an HMAC-SHA-256. Anyone can try out guesses against a hash without a key.
            queue_size: Events that may wait; whoever has one more waits.

        Raises:
            ValueError: `queue_size` is less than 1.
        """
        if queue_size < 1:
            raise ValueError(f"queue_size should be at least 1, not {queue_size}")
        self.include_text, self.include_hash, self.hash_key = include_text, include_hash, hash_key
        self.errors = 0
        self._size = queue_size
        self._closed = False
        self.renew()
        renew_in_children(self)
        _all.add(self)

    @abstractmethod
    def write(self, event: VerdictEvent) -> None:
        """Writes one event; called by one thread at a time."""

    def __call__(self, event: VerdictEvent) -> None:
        """Takes an event. Waits while the queue is full; raises nothing."""
        if sys.is_finalizing():  # other threads are no more, and have let go of no lock
            self.errors += 1
            return
        event = replace(
            event,
            text=event.text if self.include_text else None,
            sha256=event.sha256 if self.include_hash and self.hash_key is None else None,
            hmac_sha256=event.hmac_sha256 if self.include_hash else None,
        )
        if threading.current_thread() is self._worker:  # a callback that screens: it must not wait for itself
            self._write(event)
            return
        problem = self._put(event)
        if problem is not None:
            self._count(problem)

    def close(self, timeout: float | None = None) -> None:
        """Writes what waits, and ends. What comes later is not written, and counts as an error.

        May be called again, as after a `timeout` that was too short: what waits is written meanwhile.

        Args:
            timeout: Seconds to wait at most, in all; None: as long as it takes.

        Raises:
            RuntimeError: The sink calls it itself, and would wait for its own end.
        """
        if threading.current_thread() is self._worker:
            raise RuntimeError("a sink cannot be closed by what it calls")
        if sys.is_finalizing():
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(timeout)

    def renew(self) -> None:
        """In a forked child: what waits is the parent's, and will be written there."""
        self._counting = threading.Lock()
        self._changed = threading.Condition()  # guards all below; never held while something is written
        self._events: deque[VerdictEvent] = deque()
        self._arriving = 0  # callers whose event has no place yet
        self._worker: threading.Thread | None = None

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, event: VerdictEvent) -> str | None:
        """Has an event written as soon as there is a place for it; otherwise says what is in the way."""
        with self._changed:
            if self._closed:
                return "SinkClosed"
            try:
                self._start()
            except Exception as error:
                return type(error).__name__
            self._arriving += 1
            try:
                while len(self._events) >= self._size:
                    self._changed.wait()
                self._events.append(event)
            finally:
                self._arriving -= 1
                self._changed.notify_all()
        return None

    def _start(self) -> None:
        if self._worker is None:
            worker = threading.Thread(target=self._work, name="alknet-firewall-sink", daemon=True)
            worker.start()
            self._worker = worker  # only now: the next event tries again if there can be no thread
            _drain_with_multiprocessing()

    def _work(self) -> None:
        while (event := self._next()) is not None:
            self._write(event)

    def _next(self) -> VerdictEvent | None:
        """Waits for an event; None if the sink is closed and nobody has one left."""
        with self._changed:
            while not self._events:
                if self._closed and not self._arriving:
                    return None
                self._changed.wait()
            self._changed.notify_all()
            return self._events.popleft()

    def _write(self, event: VerdictEvent) -> None:
        try:
            self.write(event)
        except BaseException as error:  # `sys.exit` too must not end the thread that others wait for
            self._count(type(error).__name__)  # its message may quote what was to be written

    def _count(self, kind: str) -> None:
        with self._counting:
            self.errors += 1
            first = self.errors == 1
        if first:
            with suppress(Exception):  # a handler of the log is none of the caller's business either
                _log.error("a sink of verdicts failed (%s); its next failures are counted, not logged", kind)


def check_sink(sink: object) -> None:
    """Refuses what is no sink, where it is handed over rather than at the first verdict.

    Args:
        sink: A `Sink`, or None for none.

    Raises:
        TypeError: It is something else, such as a function.
    """
    if sink is not None and not isinstance(sink, Sink):
        kind = type(sink).__name__
        hint = "; make one of a function by CallbackSink(function)" if callable(sink) else ""
        raise TypeError(f"sink should be a Sink, such as JsonLinesSink(path), not {kind}{hint}")


class JsonLinesSink(Sink):
    """Appends a line of JSON for each event: to a file by its path, or to one that is open for text.

    By path, a line is one write to the end of the file, which is opened anew each time: several processes may share
    it, and it may be moved away at any time.
    """

    def __init__(self, file: str | os.PathLike[str] | IO[str], **options: Any) -> None:
        """Takes a path or an open file, which stays open; `options` are those of `Sink`."""
        super().__init__(**options)
        self._file = Path(file) if isinstance(file, (str, os.PathLike)) else file

    def write(self, event: VerdictEvent) -> None:
        line = json.dumps(event.to_dict()) + "\n"
        if isinstance(self._file, Path):
            _append(self._file, line.encode("ascii"))
        else:
            self._file.write(line)
            self._file.flush()


class LoggingSink(Sink):
    """Logs each event as a line of JSON: a warning if the text or the whole is flagged, else information."""

    def __init__(self, logger: logging.Logger | str = "alknet_firewall.verdicts", **options: Any) -> None:
        """Takes a logger or its name; `options` are those of `Sink`."""
        super().__init__(**options)
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    def write(self, event: VerdictEvent) -> None:
        flagged = event.verdict.flagged or (event.whole is not None and event.whole.flagged)
        level = logging.WARNING if flagged else logging.INFO
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", json.dumps(event.to_dict()))


class CallbackSink(Sink):
    """Calls a function with each event."""

    def __init__(self, function: Callable[[VerdictEvent], object], **options: Any) -> None:
        """Takes the function, which is called in the sink's thread; `options` are those of `Sink`."""
        super().__init__(**options)
        self._function = function

    def write(self, event: VerdictEvent) -> None:
        self._function(event)


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        written = os.write(file, line)
        if written < len(line):
            raise OSError(f"{written} of {len(line)} bytes written")
    finally:
        os.close(file)


def _close_all() -> None:
    end = time.monotonic() + _AT_EXIT
    for sink in list(_all):  # while one is waited for, the others write
        sink.close(max(0.0, end - time.monotonic()))


def _drain_with_multiprocessing() -> None:
    """A process of multiprocessing ends without `atexit`, and has forgotten what its parent wanted done at the end."""
    if "multiprocessing" not in sys.modules or os.getpid() in _drained:
        return
    from multiprocessing import parent_process
    from multiprocessing.util import Finalize

    if parent_process() is not None:
        _drained.add(os.getpid())
        Finalize(None, _close_all, exitpriority=100)  # before its queues are closed: a sink may use them


atexit.register(_close_all)
