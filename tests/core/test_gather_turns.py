"""Gathered work in turns and in time: large items are read piece by piece, deadlines hold, a thread that hangs is replaced."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from alknet_firewall.deadline import Deadline
from alknet_firewall.errors import DeadlineError, OverloadedError
from alknet_firewall.gather import Gatherer
from alknet_firewall.gather.load import Load
from tests.core.test_gather import LARGE, Works, no_thread_is_left_over, occupied, until, workers  # noqa: F401


class Books(Works):
    """Reads large items page by page; notes whose page it was."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[int] = []

    def read(self, item: int) -> Generator[None, None, int]:
        for _ in range(abs(item)):
            assert self.gate.wait(30)
            self.busy.set()
            self.pages.append(item)
            time.sleep(0.03)
            yield
        if item < 0:
            raise ValueError("a page is missing")
        return item


def reader(books: Books, **settings: Any) -> Gatherer[Books, int, int]:
    return Gatherer(books, Books.squares, Books.read, max_waiting=100, **settings)


def test_large_items_take_turns() -> None:
    books = Books()
    books.gate.clear()
    gathered = reader(books)
    long, short, broken = (gathered.submit(pages, LARGE) for pages in (30, 4, -3))
    books.gate.set()
    assert short.result(30) == 4 and not long.done()
    with pytest.raises(ValueError, match="a page is missing"):
        broken.result(30)
    assert long.result(30) == 30 and Counter(books.pages) == {30: 30, 4: 4, -3: 3}


def test_a_large_item_that_is_given_up_is_not_read_on() -> None:
    books = Books()
    gathered = reader(books)
    book = gathered.submit(1000, LARGE)
    assert books.busy.wait(30)
    assert not book.cancel()  # it is being read
    assert gathered.submit(2, LARGE).result(30) == 2
    with pytest.raises(CancelledError):
        book.result(30)
    assert len(books.pages) < 100


def test_after_its_deadline_nothing_is_taken_up_or_read_on() -> None:
    books = Books()
    gathered = reader(books)
    started = time.monotonic()
    book = gathered.submit(1000, LARGE, Deadline(100, started + 0.1))
    with pytest.raises(DeadlineError, match="100 ms"):
        book.result(30)
    assert len(books.pages) < 100
    first = occupied(gathered, books)
    late = gathered.submit(5, 1, Deadline(1e6, time.monotonic() + 0.01))
    time.sleep(0.05)
    books.gate.set()
    assert first.result(30) == 1
    with pytest.raises(DeadlineError):
        late.result(30)
    assert books.batches == [[-1]]


def test_a_thread_that_hangs_is_replaced_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alknet_firewall.gather.lane._PATIENCE", 0.05)
    release = threading.Event()

    class Hangs(Works):
        def squares(self, items: list[int]) -> list[int]:
            if min(items) < 0:
                assert release.wait(60)
            return super().squares(items)

        def read(self, item: int) -> Generator[None, None, int]:
            if item < 0:
                assert release.wait(60)
            yield
            return item * item

    works = Hangs()
    gathered: Gatherer[Hangs, int, int] = Gatherer(works, Hangs.squares, Hangs.read, max_waiting=100)
    for size in (1, LARGE):
        hung = []
        for number in (-1, -2, -3):
            hung.append(gathered.submit(number, size))
            time.sleep(0.15)
            assert gathered.submit(7, size).result(30) == 49  # another thread does it
        hung.append(gathered.submit(-4, size))
        time.sleep(0.15)
        waits = gathered.submit(8, size)  # what hangs in four hangs in the fifth, too
        time.sleep(0.15)
        assert not waits.done()
        release.set()
        assert [future.result(30) for future in hung] == [1, 4, 9, 16] and waits.result(30) == 64
        assert gathered.submit(9, size).result(30) == 81
        release.clear()
    until(lambda: len(workers()) == 2)


def test_threads_that_do_not_hang_any_more_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alknet_firewall.gather.lane._PATIENCE", 0.05)
    release = threading.Event()

    class Stalls(Works):
        def squares(self, items: list[int]) -> list[int]:
            if min(items) < 0:
                assert release.wait(60)
            return super().squares(items)

    works = Stalls()
    gathered: Gatherer[Stalls, int, int] = Gatherer(works, Stalls.squares, max_waiting=100)
    for number in range(-6, 0):  # more often than threads may hang at a time
        stalled = gathered.submit(number, 1)
        time.sleep(0.15)
        assert gathered.submit(7, 1).result(30) == 49
        release.set()
        assert stalled.result(30) == number**2
        until(lambda: len(workers()) == 1)
        release.clear()


def test_how_long_it_will_take() -> None:
    for in_turns in (False, True):
        load = Load(in_turns=in_turns)
        assert load.expected(1000) == 0
        load.came(1000)
        assert load.expected(1000) == 0  # nothing is known yet
        load.went(1000)
        load.begins(1, 1000)
        load.ends(1, 60.0)  # the first one waited until all was loaded
        for _ in range(2):
            load.begins(1, 1000)
            load.ends(1, 1.0)
        assert load.expected(10**9) == 0  # idle: whatever comes is tried
        load.came(2000)
        assert load.expected(1000) == pytest.approx(3.0)
        load.begins(2, 5000)
        assert load.expected(1000) == pytest.approx(4.0 if in_turns else 8.0, abs=0.5)
        load.ends(2, None)
        load.went(2000)
        assert load.expected(1000) == 0
        load.begins(3, 1000)
        load.forget()
        load.ends(3, 1e6)
        load.came(1000)
        assert load.expected(0) == pytest.approx(1.0)  # what was forgotten taught nothing


def test_who_would_be_answered_too_late_is_refused_at_once() -> None:
    books = Books()
    gathered = reader(books)
    for _ in range(3):
        gathered.submit(1, 1).result(30)
    first = occupied(gathered, books)
    time.sleep(0.3)
    with pytest.raises(OverloadedError, match="expected in .* after the deadline of 10 ms"):
        gathered.submit(2, 1, Deadline(10, time.monotonic() + 0.01))
    patient = gathered.submit(3, 1)
    given_up = gathered.submit(4, 1)
    given_up.cancel()
    books.gate.set()
    assert first.result(30) == 1 and patient.result(30) == 9
    assert gathered.submit(5, 1, Deadline(1e5, time.monotonic() + 100)).result(30) == 25
