"""What the thread that works on items shares with those who ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from alknet_firewall.deadline import Deadline
from alknet_firewall.gather.load import Load

Owner = TypeVar("Owner")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[Owner, list[Item]], Sequence[Answer]]
"""Answers a batch, in its order."""
Steps = Callable[[Owner, Item], Generator[Any, None, Answer]]
"""Answers an item a little at a time: stops between two steps, and returns the answer."""

BATCH_ITEMS = 64
BATCH_SIZE = 1 << 13
"""A batch takes no more once its items are that large together; an item larger than that goes alone, in turns."""
MOST_JOBS = 32
"""Large items that are worked on in turns; others wait, so that memory is bounded."""

_PATIENCE = 30.0  # s that a thread may be at one thing before another one takes its place
_MOST_THREADS = 4  # of a lane at a time: what hangs in all of them hangs in the next one, too


class Promise(Future[Answer]):
    """A future that tells when it leaves the queue, and notes when it is given up even while it is worked on.

    Attributes:
        given_up: Whether somebody has cancelled it.
    """

    def __init__(self, left: Callable[[], None]) -> None:
        """Takes what is called once, when it is taken out of the queue or cancelled there."""
        super().__init__()
        self.given_up = False
        self._left = [left]

    def cancel(self) -> bool:
        self.given_up = True
        cancelled = super().cancel()
        if cancelled:
            self._leave()
        return cancelled

    def set_running_or_notify_cancel(self) -> bool:
        self._leave()
        return super().set_running_or_notify_cancel()

    def _leave(self) -> None:
        with suppress(IndexError):  # two threads may come here at once: only one of them gets it
            self._left.pop()()


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Generic[Item, Answer]):
    """An item that somebody waits for."""

    item: Item
    size: int
    deadline: Deadline | None
    promise: Promise[Answer]

    def taken_up(self) -> bool:
        """Marks it as being worked on; False if nobody waits for it any more."""
        if not self.promise.set_running_or_notify_cancel():
            return False
        return not self.overdue()

    def overdue(self) -> bool:
        """Whether its deadline has passed, which is then its answer."""
        if self.deadline is None or not self.deadline.passed:
            return False
        self.promise.set_exception(self.deadline.error())
        return True


@dataclass(slots=True, eq=False)
class Job(Generic[Item, Answer]):
    """A large item that is being worked on.

    Attributes:
        asked: The item.
        steps: Goes on by a step.
        seconds: What it has taken so far.
    """

    asked: Asked[Item, Answer]
    steps: Generator[Any, None, Answer]
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Lane(Generic[Item, Answer]):
    """A queue and the thread behind it; None in the queue ends the thread.

    A SimpleQueue may be put to from anywhere, the garbage collector included, and waits without using the processor.

    Attributes:
        free: Places in the queue.
        wait: Seconds that a batch may wait for company.
        load: How much there is to do.
        queue: What waits.
        jobs: Large items at work.
        turn: Counts the threads: only the last one goes on, the others have been given up.
        thread: The one whose turn it is; None where none could be started.
        given_up: Those that hang.
        busy_since: When the thread began what it is at; None while it waits.
    """

    free: threading.Semaphore
    wait: float
    load: Load
    queue: SimpleQueue[Asked[Item, Answer] | None] = field(default_factory=SimpleQueue)
    jobs: deque[Job[Item, Answer]] = field(default_factory=deque)
    turn: int = 0
    thread: threading.Thread | None = None
    given_up: list[threading.Thread] = field(default_factory=list)
    busy_since: float | None = None

    @property
    def needs_a_thread(self) -> bool:
        """Whether there is none, or the one there is hangs; a few may hang at a time, not any number."""
        if self.thread is None or not self.thread.is_alive():
            return True
        since = self.busy_since
        if since is None or time.monotonic() - since <= _PATIENCE:
            return False
        return sum(thread.is_alive() for thread in self.given_up) + 1 < _MOST_THREADS

    def next_turn(self) -> None:
        """Gives up the thread whose turn it is: it ends as soon as it does not hang any more."""
        before = [*self.given_up, *([] if self.thread is None else [self.thread])]
        self.given_up = [thread for thread in before if thread.is_alive()]
        self.turn += 1
        self.thread = self.busy_since = None
        self.load.forget()
