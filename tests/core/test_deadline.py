"""Deadlines: an answer by policy when there is none in time, whatever the detector is at; fairness between texts."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from alknet_firewall import Action, ConfigError, Firewall, FirewallConfig, Verdict
from alknet_firewall.deadline import Deadline
from alknet_firewall.errors import DeadlineError, OverloadedError
from alknet_firewall.gather import BATCH_SIZE
from alknet_firewall.waiting import size_of
from tests.gated import gated

Z = "z" * 30
QUIET = "a quiet text"
LONG = "many quiet words " * 2000
assert len(LONG) > 3 * BATCH_SIZE
Make = Callable[..., Firewall]


@pytest.fixture
def make(settings: Path) -> Iterator[Make]:
    """Makes tiny firewalls; arguments are settings."""
    yield lambda **own: Firewall(FirewallConfig.from_file(settings, **own))


def same(one: Verdict, other: Verdict) -> bool:
    return (
        one.action is other.action
        and abs(one.score - other.score) < 1e-5
        and one.spans == other.spans
        and (one.tokens, one.truncated, one.error) == (other.tokens, other.truncated, other.error)
    )


# What may be asked for.


@pytest.mark.parametrize("value", [0, -1, math.nan, -math.inf])
def test_a_deadline_lies_ahead(make: Make, value: float) -> None:
    firewall = make()
    for call in (firewall.screen, lambda text, **own: firewall.screen_many([text], **own)):
        with pytest.raises(ValueError, match="should be above 0"):
            call("text", deadline_ms=value)
    with pytest.raises(ValueError, match="should be above 0"):
        asyncio.run(firewall.screen_async("text", deadline_ms=value))


@pytest.mark.parametrize("value", [True, "100", [5]])
def test_a_deadline_is_a_number(make: Make, value: object) -> None:
    with pytest.raises(TypeError, match="a number of milliseconds or None"):
        make().screen("text", deadline_ms=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -5, "soon", "inf", "nan"])
def test_the_setting_is_checked(value: object) -> None:
    with pytest.raises(ConfigError, match="deadline_ms"):
        FirewallConfig(deadline_ms=value)


def test_the_setting_holds_where_a_call_says_nothing(make: Make) -> None:
    firewall = make(deadline_ms=0.001)
    assert "deadline of 0.001 ms" in str(firewall.screen(QUIET).error)
    assert firewall.screen(QUIET, deadline_ms=60_000).error is None
    assert firewall.screen(QUIET, deadline_ms=math.inf).error is None


@pytest.mark.parametrize("far", [1e13, 1e300, 10**400], ids=["centuries", "float", "int"])
def test_a_deadline_may_be_as_far_away_as_one_likes(make: Make, far: float) -> None:
    firewall = make(deadline_ms=1e300)
    assert firewall.screen(Z, deadline_ms=far).error is None and firewall.screen(Z).error is None
    assert [verdict.error for verdict in firewall.screen_many([Z], deadline_ms=far)] == [None]
    assert asyncio.run(firewall.screen_async(Z, deadline_ms=far)).error is None


def test_a_deadline_that_is_met_changes_nothing(make: Make) -> None:
    firewall = make()
    texts = [QUIET, Z, "", LONG, "\ud800", Z]
    alone = [firewall.screen(text, "tool") for text in texts]
    assert all(map(same, alone, [firewall.screen(text, "tool", deadline_ms=60_000) for text in texts]))
    assert all(map(same, alone, firewall.screen_many(iter(texts), "tool", deadline_ms=60_000)))

    async def awaited() -> list[Verdict]:
        return [await firewall.screen_async(text, "tool", deadline_ms=60_000) for text in texts]

    assert all(map(same, alone, asyncio.run(awaited())))
    assert firewall.screen_many([], deadline_ms=5) == []


# When it passes.


@pytest.mark.parametrize("policy", ["block", "review", "allow"])
@pytest.mark.parametrize("text", ["#", LONG + "#"], ids=["short", "long"])
def test_a_detector_that_hangs_keeps_nobody_waiting(make: Make, policy: str, text: str) -> None:
    firewall = make(on_error=policy)
    model = gated(firewall)
    try:
        verdict = firewall.screen(text, deadline_ms=100)
        assert verdict.action is Action(policy)
        assert verdict.error == "DeadlineError: no verdict within the deadline of 100 ms"
        verdict = asyncio.run(firewall.screen_async(text, deadline_ms=100))
        assert verdict.action is Action(policy) and "100 ms" in str(verdict.error)
        verdicts = firewall.screen_many([QUIET, text, Z], deadline_ms=100)
        assert [verdict.action for verdict in verdicts if verdict.error] and len(verdicts) == 3
    finally:
        model.gate.set()
    assert firewall.screen(Z, deadline_ms=60_000).error is None  # it recovers


def test_a_deadline_is_an_error_when_asked(make: Make) -> None:
    firewall = make(on_error="raise")
    model = gated(firewall)
    try:
        for call in (
            lambda: firewall.screen("#", deadline_ms=50),
            lambda: firewall.screen_many(["#"], deadline_ms=50),
            lambda: asyncio.run(firewall.screen_async("#", deadline_ms=50)),
        ):
            with pytest.raises((DeadlineError, OverloadedError)):
                call()
    finally:
        model.gate.set()


def test_where_one_is_raised_nothing_is_read_for_the_others(make: Make) -> None:
    firewall = make(on_error="raise")
    model = gated(firewall)
    firewall.screen(QUIET, deadline_ms=60_000)
    try:
        with pytest.raises(DeadlineError):
            firewall.screen_many(["#", *[LONG] * 20], deadline_ms=300)
    finally:
        model.gate.set()
    assert firewall.screen(LONG, deadline_ms=60_000).error is None
    lanes = firewall._gatherer._lanes.values()
    assert not any(lane.jobs or lane.queue.qsize() for lane in lanes)


def test_where_no_thread_can_be_started_the_policy_holds_until_one_can(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewall = make().warm_up()

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for text in (QUIET, LONG):
            verdict = firewall.screen(text, deadline_ms=60_000)
            assert verdict.action is Action.BLOCK and "no thread can be started" in str(verdict.error)
    for text in (QUIET, LONG):
        assert firewall.screen(text, deadline_ms=60_000).error is None


def test_who_waits_behind_a_busy_detector_is_answered_by_policy(make: Make) -> None:
    firewall = make()
    model = gated(firewall)
    first = threading.Thread(target=firewall.screen, args=("#",), kwargs={"deadline_ms": 60_000})
    first.start()
    try:
        assert model.begun.wait(30)
        verdicts = [firewall.screen(Z, deadline_ms=20), *firewall.screen_many([Z] * 3, deadline_ms=20)]

        async def some() -> list[Verdict]:
            return await asyncio.gather(*(firewall.screen_async(Z, deadline_ms=20) for _ in range(20)))

        verdicts += asyncio.run(some())
        assert len(verdicts) == 24 and all(
            verdict.error and verdict.action is Action.BLOCK for verdict in verdicts
        )
        before = model.windows
    finally:
        model.gate.set()
        first.join()
    assert firewall.screen(QUIET, deadline_ms=60_000).error is None
    assert model.windows == before + 1  # what nobody waited for any more was not read


def test_over_load_the_answer_comes_at_once(make: Make) -> None:
    firewall = make()
    for _ in range(3):  # how long texts take is learnt from those that were answered
        assert firewall.screen(QUIET, deadline_ms=60_000).error is None
    model = gated(firewall)
    first = threading.Thread(target=firewall.screen, args=("#",), kwargs={"deadline_ms": 60_000})
    first.start()
    try:
        assert model.begun.wait(30)
        time.sleep(0.3)  # it takes long already: it will take long still
        verdict = firewall.screen(QUIET, deadline_ms=100)
        assert str(verdict.error).startswith("OverloadedError: overloaded: a verdict is expected in")
    finally:
        model.gate.set()
        first.join()
    assert firewall.screen(QUIET, deadline_ms=60_000).error is None


def test_a_long_text_is_not_read_on_behind_its_deadline(make: Make) -> None:
    firewall = make(on_long="screen_all")
    model = gated(firewall)
    try:
        assert firewall.screen("#" + LONG, deadline_ms=100).error
    finally:
        model.gate.set()
    assert (
        firewall.screen(LONG[: 2 * BATCH_SIZE], deadline_ms=60_000).error is None
    )  # in turns with the rest of it
    assert model.windows < 200 + 2 * BATCH_SIZE // 32  # of some 1,000 windows that the first one has


def test_a_long_text_whose_caller_gave_up_is_not_read_on(make: Make) -> None:
    firewall = make(on_long="screen_all")
    model = gated(firewall)

    async def give_up() -> None:
        task = asyncio.create_task(firewall.screen_async("#" + LONG))
        await asyncio.to_thread(model.begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model.gate.set()
        await firewall.screen_async(LONG[: 2 * BATCH_SIZE])

    asyncio.run(give_up())
    assert model.windows < 200 + 2 * BATCH_SIZE // 32


def test_what_cannot_be_loaded_in_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    from alknet_firewall import firewall as module

    load = module.load_engine

    def slow(config: FirewallConfig) -> Any:
        assert go_on.wait(30)
        return load(config)

    monkeypatch.setattr(module, "load_engine", slow)
    firewall = make()
    assert "deadline of 50 ms" in str(firewall.screen(QUIET, deadline_ms=50).error)
    go_on.set()
    assert firewall.screen(QUIET, deadline_ms=60_000).error is None


# Fairness.


def test_short_texts_do_not_wait_for_a_long_one(make: Make) -> None:
    firewall = make(on_long="screen_all")
    model = gated(firewall)

    async def both() -> None:
        long = asyncio.create_task(firewall.screen_async("#" + LONG))
        await asyncio.to_thread(model.begun.wait, 30)
        assert (await firewall.screen_async(QUIET)).error is None and not long.done()
        model.gate.set()
        assert (await long).error is None

    asyncio.run(both())


def test_long_texts_take_turns(make: Make) -> None:
    firewall = make(on_long="screen_all")
    book, letter = LONG * 60, LONG[: 2 * BATCH_SIZE]

    async def both() -> bool:
        first = asyncio.create_task(firewall.screen_async(book))
        await asyncio.sleep(0)
        await firewall.screen_async(letter)
        before = first.done()
        first.cancel()
        return before

    assert not asyncio.run(both())


WORDS = st.lists(
    st.sampled_from(
        [Z, QUIET, "zz top ", "i g n o r e  a l l ", "\u200b", "😀" * 40, "\ufdfa", "", "aWdub3JlIGFsbA== "]
    ),
    max_size=6,
).map("".join)


@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(WORDS, st.sampled_from([1, 1, 1, 40, 400])), min_size=1, max_size=8))
def test_the_same_verdict_alone_and_under_load(shared_one: Firewall, texts: list[tuple[str, int]]) -> None:
    asked = [text * times for text, times in texts]
    alone = [shared_one.screen(text, "document") for text in asked]

    async def together() -> list[Verdict]:
        return await asyncio.gather(
            *(shared_one.screen_async(text, "document", deadline_ms=120_000) for text in asked)
        )

    assert all(map(same, alone, asyncio.run(together())))


@pytest.fixture
def shared_one(make: Make) -> Firewall:
    return make()


# The parts.


def test_sizes() -> None:
    assert size_of("abc", 100) == 3 and size_of("😀\ud800", 100) == 7
    assert size_of("😀" * BATCH_SIZE, 10**9) == 4 * BATCH_SIZE and size_of("a" * 1000, 10) == 10
    assert size_of("😀" * 10**6, 10**9) == 10**6  # not encoded, and large anyway


def test_deadlines_count_from_the_call() -> None:
    deadline = Deadline.after(50)
    assert deadline is not None and 0 < deadline.left <= 0.05 and not deadline.passed
    time.sleep(0.06)
    assert deadline.left == 0 and deadline.passed and "50 ms" in str(deadline.error())
    assert Deadline.after(None) is None and Deadline.after(math.inf) is None
