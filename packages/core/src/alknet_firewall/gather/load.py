"""How long an answer will take to come: from what waits, and from how long earlier items took."""

from __future__ import annotations

import threading
import time

_LEAST = 256  # size from which on the time of a batch grows with it
_NEWER = 0.3  # weight of the last time against those before


class Load:
    """What a thread has before it; safe to share between threads."""

    def __init__(self, *, in_turns: bool) -> None:
        """Nothing waits, and nothing is known of how long things take.

        Args:
            in_turns: Whether items are worked on in turns: a small one need not wait for the whole of a large one.
        """
        self._in_turns = in_turns
        self._lock = threading.RLock()  # a future may be given up by whatever is collected meanwhile
        self._waiting = 0
        self._at_work: dict[int, int] = {}
        self._begun = 0.0
        self._rate: float | None = None
        self._measured = False

    def came(self, size: int) -> None:
        """Something was put into the queue."""
        with self._lock:
            self._waiting += size

    def went(self, size: int) -> None:
        """Something was taken out of the queue, or given up in it."""
        with self._lock:
            self._waiting -= size

    def begins(self, key: int, size: int) -> None:
        """Work on something begins, or goes on after others had their turn."""
        with self._lock:
            self._at_work[key] = size
            self._begun = time.monotonic()

    def ends(self, key: int, seconds: float | None) -> None:
        """Work on something ended; None for the time if it was given up, and tells nothing."""
        with self._lock:
            size = self._at_work.pop(key, None)
            if size is None or seconds is None:
                return
            rate = seconds / max(size, _LEAST)
            if not self._measured:  # the first one waits until everything is loaded
                self._measured = True
            else:
                self._rate = rate if self._rate is None else self._rate + _NEWER * (rate - self._rate)

    def forget(self) -> None:
        """What is at work hangs, and is not counted any more."""
        with self._lock:
            self._at_work.clear()

    def expected(self, size: int) -> float:
        """Seconds until something that comes now will be answered; 0 if nothing stands before it."""
        with self._lock:
            if not self._at_work and self._waiting <= 0:
                return 0.0  # whatever was measured before: what is always refused is never measured again
            # Overdue work takes, for all that is known, as long again.
            elapsed = time.monotonic() - self._begun if self._at_work else 0.0
            if self._rate is None:
                return elapsed
            if self._in_turns:
                ahead = self._rate * sum(min(size, other) for other in self._at_work.values()) + elapsed
            else:
                ahead = abs(self._rate * sum(self._at_work.values()) - elapsed)
            return ahead + self._rate * (self._waiting + size)
