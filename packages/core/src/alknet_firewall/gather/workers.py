"""What the threads run: one answers batches, the other works on large items in turns."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty

from alknet_firewall.gather.lane import (
    BATCH_ITEMS,
    BATCH_SIZE,
    MOST_JOBS,
    Answer,
    Asked,
    Item,
    Job,
    Lane,
    Owner,
    Steps,
    Work,
)

_TURN = 0.05  # s after which the next large item has its turn


def serve_batches(
    lane: Lane[Item, Answer], owner: weakref.ref[Owner], work: Work[Owner, Item, Answer], turn: int
) -> None:
    """Answers batch after batch. Between two it holds no item, no answer and no owner."""
    while lane.turn == turn and _serve_batch(lane, owner, work, turn):
        pass


def serve_in_turns(
    lane: Lane[Item, Answer], owner: weakref.ref[Owner], steps: Steps[Owner, Item, Answer], turn: int
) -> None:
    """Goes on with one large item after the other. While it waits it holds no item, no answer and no owner."""
    while lane.turn == turn and _begin(lane, owner, steps):
        _go_on(lane, turn)


def _serve_batch(
    lane: Lane[Item, Answer], weak_owner: weakref.ref[Owner], work: Work[Owner, Item, Answer], turn: int
) -> bool:
    batch, goes_on = _take(lane)
    owner = weak_owner()
    if owner is None:  # nobody can answer any more
        for asked in batch:
            asked.promise.cancel()
    started = [asked for asked in batch if asked.taken_up()]
    if started and owner is not None:
        began = time.monotonic()
        lane.busy_since = began
        lane.load.begins(turn, sum(asked.size for asked in started))
        _answer(started, partial(work, owner))
        lane.load.ends(turn, time.monotonic() - began)
        if lane.turn == turn:
            lane.busy_since = None
    return goes_on


def _take(lane: Lane[Item, Answer]) -> tuple[list[Asked[Item, Answer]], bool]:
    """The next batch, and whether there will be others."""
    batch: list[Asked[Item, Answer]] = []
    asked = lane.queue.get()
    until = time.monotonic() + lane.wait
    size = 0
    while asked is not None:
        lane.free.release()
        batch.append(asked)
        size += asked.size
        if len(batch) == BATCH_ITEMS or size >= BATCH_SIZE:
            return batch, True
        left = until - time.monotonic()
        try:
            asked = lane.queue.get(timeout=left) if left > 0 else lane.queue.get_nowait()
        except Empty:
            return batch, True
    return batch, False


def _answer(batch: Sequence[Asked[Item, Answer]], work: Callable[[list[Item]], Sequence[Answer]]) -> None:
    try:
        answers = work([asked.item for asked in batch])
    except BaseException as error:  # of any kind: if the thread ended, its callers would wait for ever
        if len(batch) == 1:
            batch[0].promise.set_exception(error)
            return
        for asked in batch:  # what fails for one must not fail for the others
            _answer([asked], work)
        return
    for asked, answer in zip(batch, answers):
        asked.promise.set_result(answer)


def _begin(lane: Lane[Item, Answer], owner: weakref.ref[Owner], steps: Steps[Owner, Item, Answer]) -> bool:
    """Takes up what waits, as far as there is room; waits if there is nothing to do. False: it is over."""
    while len(lane.jobs) < MOST_JOBS:
        try:
            asked = lane.queue.get_nowait() if lane.jobs else lane.queue.get()
        except Empty:
            break
        if asked is None:
            return False
        lane.free.release()
        held = owner()
        if held is None:
            asked.promise.cancel()
        if asked.taken_up() and held is not None:
            lane.load.begins(id(asked), asked.size)
            lane.jobs.append(Job(asked, steps(held, asked.item)))
        del asked, held
    return True


def _go_on(lane: Lane[Item, Answer], turn: int) -> None:
    """Works on the large item whose turn it is, for a moment."""
    job = lane.jobs.popleft()
    lane.busy_since = began = time.monotonic()
    lane.load.begins(id(job.asked), job.asked.size)
    going = True
    while going:
        going = _step(job)
        # A thread that has been given up finishes what it hung at, and nothing else.
        if going and lane.turn == turn and time.monotonic() - began > _TURN:
            job.seconds += time.monotonic() - began
            lane.jobs.append(job)
            break
    if not going:
        gave_up = job.asked.promise.given_up or job.asked.promise.exception() is not None
        seconds = job.seconds + time.monotonic() - began
        lane.load.ends(id(job.asked), None if gave_up else seconds)
    if lane.turn == turn:
        lane.busy_since = None


def _step(job: Job[Item, Answer]) -> bool:
    """Goes on by a step; False if there is nothing more to be done."""
    promise = job.asked.promise
    if promise.given_up or job.asked.overdue():
        job.steps.close()
        if not promise.done():  # whoever gave it up does not ask, but somebody else may
            promise.set_exception(CancelledError())
        return False
    try:
        next(job.steps)
    except StopIteration as end:
        promise.set_result(end.value)
        return False
    except BaseException as error:  # of any kind: if the thread ended, its callers would wait for ever
        promise.set_exception(error)
        return False
    return True
