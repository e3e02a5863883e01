"""What all streams of a firewall may keep of their open windows together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from alknet_firewall.detector.growing import GrowingText


class SharedMemory:
    """Bounds memory: the streams that were idle for longest forget, and read their open window anew when they go on."""

    def __init__(self, limit: int) -> None:
        """Takes the limit in bytes."""
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: WeakKeyDictionary[GrowingText, int] = WeakKeyDictionary()  # in order of last use
        self._busy: set[int] = set()

    @property
    def nbytes(self) -> int:
        """Memory that is kept by all, in bytes."""
        with self._lock:
            return sum(self._kept.values())

    @contextmanager
    def using(self, growing: GrowingText) -> Iterator[None]:
        """While a text is read nothing of it is forgotten; afterwards others may have to forget."""
        with self._lock:
            self._busy.add(id(growing))
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(id(growing))
                self._kept.pop(growing, None)
                if growing.nbytes:
                    self._kept[growing] = growing.nbytes
                self._shrink()

    def forget(self, growing: GrowingText) -> None:
        """Frees what is kept of a text; by the thread that reads it."""
        growing.forget()
        with self._lock:
            self._kept.pop(growing, None)

    def _shrink(self) -> None:
        total = sum(self._kept.values())
        for growing in list(self._kept):
            if total <= self._limit:
                return
            if id(growing) not in self._busy:
                total -= self._kept.pop(growing)
                growing.forget()
