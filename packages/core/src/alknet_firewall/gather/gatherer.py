"""Where callers put in what they ask."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic

from alknet_firewall.deadline import Deadline
from alknet_firewall.errors import OverloadedError
from alknet_firewall.gather.lane import BATCH_SIZE, Answer, Asked, Item, Lane, Owner, Promise, Steps, Work
from alknet_firewall.gather.load import Load
from alknet_firewall.gather.workers import serve_batches, serve_in_turns

_GRACE = 2.0  # s that the end of the process waits for the work in hand


class Gatherer(Generic[Owner, Item, Answer]):
    """Works on the items of many threads and event loops.

    Its threads start on first use, and end when it is collected or the process ends. One that hangs is replaced, but
    not where four hang already: then callers get no answers but by their deadlines, until one of them returns.
    """

    def __init__(
        self,
        owner: Owner,
        work: Work[Owner, Item, Answer],
        steps: Steps[Owner, Item, Answer] | None = None,
        *,
        max_waiting: int,
        wait: float = 0.0,
    ) -> None:
        """Starts nothing yet.

        Args:
            owner: What `work` and `steps` are called with; it is kept alive only while there is work.
            work: Answers a batch of small items, in its order. If it raises, each is tried alone.
            steps: Answers a large item, in steps; None: `work` does, in one.
            max_waiting: Items that may wait to be taken up; more are refused.
            wait: Seconds that a batch may wait for company.
        """
        self._lock = threading.Lock()
        self._max_waiting = max_waiting
        self._free, self._wait = threading.Semaphore(max_waiting), wait
        self._owner, self._work, self._steps = weakref.ref(owner), work, steps or _at_once(work)
        self._lanes: dict[bool, Lane[Item, Answer]] = {}

    def submit(self, item: Item, size: int, deadline: Deadline | None = None) -> Promise[Answer]:
        """Puts an item in; its answer, or what was raised for it alone, comes by the future, which may be cancelled.

        Args:
            item: What `work` and `steps` take.
            size: How much of a batch it fills, see `BATCH_SIZE`.
            deadline: After it the item is not taken up any more, and its future raises `DeadlineError`; one that hangs
                at work has no answer, so whoever asks must not wait for longer than that.

        Raises:
            OverloadedError: `max_waiting` items wait already, the answer would come after the deadline, or no thread
                can be started.
        """
        lane = self._lane(size > BATCH_SIZE)
        if deadline is not None and (expected := lane.load.expected(size)) > deadline.left:
            late = f"expected in {expected * 1000:.0f} ms, after the deadline of {deadline.ms:g} ms"
            raise OverloadedError(f"overloaded: a verdict is {late}")
        if not self._free.acquire(blocking=False):
            raise OverloadedError(f"overloaded: {self._max_waiting} texts wait to be screened already")
        promise: Promise[Answer] = Promise(partial(lane.load.went, size))
        lane.load.came(size)
        lane.queue.put(Asked(item, size, deadline, promise))
        return promise

    def _lane(self, large: bool) -> Lane[Item, Answer]:
        with self._lock:
            if large not in self._lanes:
                lane = self._lanes[large] = Lane(self._free, self._wait, Load(in_turns=large))
                weakref.finalize(self, lane.queue.put, None).atexit = False
            lane = self._lanes[large]
            if lane.needs_a_thread:
                lane.next_turn()
                self._start(lane, large)
            return lane

    def _start(self, lane: Lane[Item, Answer], large: bool) -> None:
        arguments = (lane, self._owner, self._steps if large else self._work, lane.turn)
        thread = threading.Thread(
            target=serve_in_turns if large else serve_batches,
            args=arguments,
            name="alknet-firewall",
            daemon=True,
        )
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # none can be had now: the next call tries anew
            raise OverloadedError("overloaded: no thread can be started") from error
        lane.thread = thread
        _at_work[thread] = lane.queue


def _at_once(work: Work[Owner, Item, Answer]) -> Steps[Owner, Item, Answer]:
    def steps(owner: Owner, item: Item) -> Generator[None, None, Answer]:
        yield
        return work(owner, [item])[0]

    return steps


_at_work: weakref.WeakKeyDictionary[threading.Thread, SimpleQueue[Any]] = weakref.WeakKeyDictionary()


@atexit.register
def _end() -> None:
    """Lets the threads end first: one that comes out of native code into a dead interpreter may abort the process."""
    for queue in _at_work.values():
        with suppress(Empty):
            while True:  # nobody is left to read the answers
                queue.get_nowait()
        queue.put(None)
    until = time.monotonic() + _GRACE
    for thread in list(_at_work):
        thread.join(max(0.0, until - time.monotonic()))
