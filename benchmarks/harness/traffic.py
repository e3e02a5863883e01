"""Questions with known answers, and who asks them: what a firewall answers under load is compared, one by one."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from alknet_firewall import Firewall, Verdict
from alknet_firewall.verdict import CHANNELS
from benchmarks.harness.families import FAMILIES

_CLOSE = 0.02  # of scores: rounding differs with the batch
_LENGTHS = (0, 40, 150, 400, 1000)
_LONG = (9_000, 40_000)
_DEADLINES = (None, None, 2000.0, 300.0)  # ms
_LOW, _HIGH, _BINS = 0.02, 200_000.0, 480  # ms, of a histogram whose bins grow by 3.4 %


@dataclass(frozen=True)
class Question:
    """A text and what is to be said of it.

    Attributes:
        text: The text.
        channel: Where it comes from.
        verdict: The one that it gets when it is screened alone.
    """

    text: str
    channel: str
    verdict: Verdict

    def answered_by(self, verdict: Verdict) -> bool:
        """Whether this is the verdict on this text."""
        own = self.verdict
        return (
            verdict.action is own.action
            and verdict.channel == own.channel
            and verdict.tokens == own.tokens
            and verdict.truncated == own.truncated
            and verdict.spans == own.spans
            and abs(verdict.score - own.score) < _CLOSE
        )


def questions(firewall: Firewall, count: int, seed: int, *, long: bool = True) -> list[Question]:
    """Texts of all families, short ones mostly, each with its verdict when it is screened alone."""
    rng = random.Random(seed)
    found: list[Question] = []
    for number in range(count):
        length = rng.choice(_LONG if long and number % 50 == 49 else _LENGTHS)
        family = rng.choice([*FAMILIES]) if number % 3 else "plain English"
        text = f"{number} {FAMILIES[family](rng, length)}"
        text += " " + "z" * (number % 40) if number % 5 == 4 else ""  # to the tiny model that is an attack
        channel = CHANNELS[number % len(CHANNELS)]
        found.append(Question(text, channel, firewall.screen(text, channel)))
    return found


class Histogram:
    """How often what time was taken; as large after a billion times as after one. Not to be shared between threads."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, ms: float) -> None:
        """Counts one more."""
        place = np.log(max(ms, _LOW) / _LOW) / np.log(_HIGH / _LOW) * _BINS
        self._counts[min(int(place), _BINS - 1)] += 1

    def quantile(self, share: float) -> float:
        """The time that a share of them stays under, in ms; NaN of none."""
        total = self._counts.sum()
        if not total:
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return float(_LOW * (_HIGH / _LOW) ** ((place + 0.5) / _BINS))


@dataclass
class Answers:
    """What came back; safe to share between threads.

    Attributes:
        asked: Questions.
        given: Answers.
        right: Those that are the verdict on their text.
        by_policy: Those by `on_error`, by the kind of error; they block.
        wrong: All others: another text's verdict, or one that let through what could not be screened.
        times: Of answers to short texts, since they were last taken.
        all_times: The same since the start.
    """

    asked: int = 0
    given: int = 0
    right: int = 0
    by_policy: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    times: Histogram = field(default_factory=Histogram)
    all_times: Histogram = field(default_factory=Histogram)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, count: int = 1) -> None:
        """Notes questions."""
        with self._lock:
            self.asked += count

    def take(self, question: Question, verdict: Verdict, ms: float | None = None) -> None:
        """Notes an answer, and of a short text asked alone how long it took."""
        with self._lock:
            self.given += 1
            if verdict.error is not None:
                blocked = verdict.action.value == "block"
                self.by_policy[verdict.error.split(":")[0]] += blocked
                self.wrong += not blocked
            elif question.answered_by(verdict):
                self.right += 1
            else:
                self.wrong += 1
            if ms is not None and len(question.text) <= max(_LENGTHS) + 100:
                self.times.add(ms)
                self.all_times.add(ms)

    def take_times(self) -> Histogram:
        """Hands out the times since this was last called."""
        with self._lock:
            taken, self.times = self.times, Histogram()
        return taken


Goes = Callable[[], bool]


def ask_in_loop(
    firewall: Firewall, pool: Sequence[Question], answers: Answers, callers: int, goes: Goes, seed: int
) -> None:
    """Callers of `screen_async` in an event loop of their own; each asks again when it has its answer."""

    async def caller(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        while goes():
            question, deadline = rng.choice(pool), rng.choice(_DEADLINES)
            answers.ask()
            start = time.perf_counter()
            verdict = await firewall.screen_async(question.text, question.channel, deadline_ms=deadline)
            answers.take(question, verdict, (time.perf_counter() - start) * 1e3)

    async def all_callers() -> None:
        await asyncio.gather(*map(caller, range(callers)))

    asyncio.run(all_callers())


def ask_in_thread(
    firewall: Firewall, pool: Sequence[Question], answers: Answers, goes: Goes, seed: int
) -> None:
    """A caller of `screen`, and now and then of `screen_many`."""
    rng = random.Random(seed)
    while goes():
        deadline = rng.choice(_DEADLINES)
        if rng.random() < 0.9:
            question = rng.choice(pool)
            answers.ask()
            start = time.perf_counter()
            verdict = firewall.screen(question.text, question.channel, deadline_ms=deadline)
            answers.take(question, verdict, (time.perf_counter() - start) * 1e3)
            continue
        many = [question for question in rng.sample(pool, 20) if question.channel == "user"]
        answers.ask(len(many))
        verdicts = firewall.screen_many([question.text for question in many], "user", deadline_ms=deadline)
        for question, verdict in zip(many, verdicts, strict=True):
            answers.take(question, verdict)


async def ask_at_rate(
    firewall: Firewall,
    pool: Sequence[Question],
    rate: float,
    seconds: float,
    deadline_ms: float | None,
    seed: int,
) -> tuple[Answers, list[float]]:
    """Asks at random times, whether answers come or not (an open loop).

    Args:
        firewall: The one that is asked.
        pool: What is asked.
        rate: Questions a second on average.
        seconds: How long.
        deadline_ms: Of each question.
        seed: Of times and questions.

    Returns:
        The answers, and how long each took from the moment at which it was to be asked, in ms.
    """
    rng, answers, taken = random.Random(seed), Answers(), list[float]()
    tasks: set[asyncio.Task[None]] = set()

    async def one(question: Question, due: float) -> None:
        answers.ask()
        verdict = await firewall.screen_async(question.text, question.channel, deadline_ms=deadline_ms)
        taken.append((time.perf_counter() - due) * 1e3)
        answers.take(question, verdict)

    due = started = time.perf_counter()
    while due < started + seconds:
        due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(rng.choice(pool), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return answers, taken
