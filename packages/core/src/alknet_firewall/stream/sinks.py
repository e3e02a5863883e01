"""Where verdicts are told: JSON lines, `logging`, or a function of one's own. The text goes along only if asked for.

A sink has a thread of its own, and a queue of bounded length before it. If that is full, whoever has a verdict to tell
waits: nothing is lost. What goes wrong in a sink never changes a verdict.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import threading
import weakref
from abc import ABC, abstractmethod
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

_AT_EXIT = 5.0  # s that a sink may take to write what waits when the interpreter ends
_log = logging.getLogger(__name__)
_all: weakref.WeakSet[Sink] = weakref.WeakSet()


class Sink(ABC):
    """Takes events, in order, from any number of threads, and writes them in a thread of its own.

    Attributes:
        include_text: Whether the text goes along.
        include_hash: Whether its SHA-256 goes along.
        errors: Events that could not be written; the first of them is logged.
    """

    def __init__(
        self, *, include_text: bool = False, include_hash: bool = False, queue_size: int = QUEUE
    ) -> None:
        """Starts nothing before the first event.

        Args:
            include_text: Whether events hold the text.
            include_hash: Whether events hold its SHA-256.
            queue_size: Events that may wait; whoever has one more waits.

        Raises:
            ValueError: `queue_size` is less than 1.
        """
        if queue_size < 1:
            raise ValueError(f"queue_size should be at least 1, not {queue_size}")
        self.include_text, self.include_hash = include_text, include_hash
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
        event = replace(
            event,
            text=event.text if self.include_text else None,
            sha256=event.sha256 if self.include_hash else None,
        )
        if threading.current_thread() is self._worker:  # a callback that screens: it must not wait for itself
            self._write(event)
            return
        with self._lock:
            closed = self._closed
            if not closed:
                self._start()
                # Within the lock, so that nothing comes after the end that `close` puts into the queue.
                self._queue.put(event)
        if closed:
            self._count("SinkClosed")

    def close(self, timeout: float | None = None) -> None:
        """Writes what waits, and ends. What comes later is not written, and counts as an error.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.
        """
        if threading.current_thread() is self._worker:
            raise RuntimeError("a sink cannot be closed by what it calls")
        if not self._lock.acquire(timeout=-1 if timeout is None else timeout):
            return
        try:
            first, self._closed = not self._closed, True
            if first and self._worker is not None:
                with suppress(queue.Full):
                    self._queue.put(None, timeout=timeout)
        finally:
            self._lock.release()
        if self._worker is not None:
            self._worker.join(timeout)

    def renew(self) -> None:
        """In a forked child: what waits is the parent's, and will be written there."""
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._queue: queue.Queue[VerdictEvent | None] = queue.Queue(self._size)
        self._worker: threading.Thread | None = None

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="alknet-firewall-sink", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            self._write(event)

    def _write(self, event: VerdictEvent) -> None:
        try:
            self.write(event)
        except Exception as error:  # its message may quote what was to be written
            self._count(type(error).__name__)

    def _count(self, kind: str) -> None:
        with self._counting:
            self.errors += 1
            first = self.errors == 1
        if first:
            _log.error("a sink of verdicts failed (%s); its next failures are counted, not logged", kind)


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
    for sink in list(_all):
        sink.close(_AT_EXIT)


atexit.register(_close_all)
