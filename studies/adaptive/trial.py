"""Runs searches side by side, so that what they ask is judged in batches, and keeps what came out, one line a search.

A search is a generator: it yields drafts and is sent the answers, until it has no more ideas. It is stopped at the first
draft that is not flagged, or when its queries are used up. Drafts that break the rule of sameness are never asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from drafts import Draft
from starts import Start
from targets import Answer, Target

from alknet_firewall.detector.cache import write_atomically

Search = Callable[[Start], Generator[list[Draft], list[Answer], None]]
ABREAST = 12
"""Searches that run side by side."""


@dataclass(frozen=True)
class Outcome:
    """How one search ended.

    Attributes:
        target: What was attacked, and what the attacker saw of it.
        search: Its name.
        start: Key of the start.
        evaded: Whether a draft passed.
        queries: Texts judged, up to and with the one that passed.
        limit: Queries that it had.
        words: Words changed in the draft that passed.
        added: Characters added in it.
        text: It; empty where none passed.
    """

    target: str
    search: str
    start: str
    evaded: bool
    queries: int
    limit: int
    words: int = 0
    added: int = 0
    text: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.target, self.search, self.start


class Outcomes:
    """A file of outcomes that grows by the line; one that was not finished is dropped."""

    def __init__(self, path: Path) -> None:
        """Reads what is there."""
        self._path = path
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        found = [Outcome(**json.loads(line)) for line in lines[:-1]]
        self._known = {one.key: one for one in found}
        if lines and lines[-1]:
            write_atomically(path, "".join(f"{line}\n" for line in lines[:-1]).encode())

    def get(self, key: tuple[str, str, str], limit: int) -> Outcome | None:
        """What is known of a search with as many queries: a miss with fewer of them says nothing."""
        one = self._known.get(key)
        if one is None or (not one.evaded and one.limit < limit):
            return None
        if one.evaded and one.queries > limit:
            return Outcome(*key, False, limit, limit)
        return one

    def add(self, one: Outcome) -> None:
        """Keeps one more."""
        self._known[one.key] = one
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")


class _Running:
    """A search under way, with what it asks next."""

    def __init__(self, start: Start, search: Search) -> None:
        self.start, self.queries = start, 0
        self._steps = search(start)
        self.asked = self._next(lambda: next(self._steps))

    def send(self, answers: list[Answer]) -> None:
        """Tells it the answers; `asked` is what it asks then, nothing when it has no more ideas."""
        self.queries += len(answers)
        self.asked = self._next(lambda: self._steps.send(answers))

    def _next(self, ask: Callable[[], list[Draft]]) -> list[Draft]:
        try:
            drafts = ask()
        except StopIteration:
            return []
        if not all(draft.allowed for draft in drafts):
            raise ValueError(f"a search asked for what is not the same instruction any more ({self.start.key})")
        return drafts


def run(
    target: Target, names: tuple[str, str], search: Search, starts: Sequence[Start], limit: int,
    deadline: float = float("inf"),
) -> Iterator[Outcome]:  # fmt: skip
    """Runs a search from every start.

    Args:
        target: What is attacked.
        names: Of target and search, in the outcomes.
        search: The search.
        starts: Texts that the target flags.
        limit: Queries for each.
        deadline: On the clock of `time.monotonic`; what is not done by then is given up without an outcome.

    Yields:
        The outcomes, as they come.
    """
    waiting = iter(starts)
    running: list[_Running] = []
    while time.monotonic() < deadline:
        running += [_Running(start, search) for start in islice(waiting, ABREAST - len(running))]
        if not running:
            return
        left = []
        for one, answers in zip(running, _judged(target, running, limit)):
            passed = next((i for i, answer in enumerate(answers) if not answer.flagged), None)
            asked = one.queries + len(answers)
            if passed is not None:
                draft = one.asked[passed]
                yield Outcome(
                    *names, one.start.key, True, one.queries + passed + 1, limit,
                    draft.words_changed, draft.added, draft.text,
                )  # fmt: skip
            elif not answers or asked >= limit:
                yield Outcome(*names, one.start.key, False, asked, limit)
            else:
                one.send(answers)
                left.append(one)
        running = left


def _judged(target: Target, running: Sequence[_Running], limit: int) -> list[list[Answer]]:
    """Answers to what each search asks, as far as its queries go; texts of a channel are judged together."""
    answers: list[list[Answer]] = [[] for _ in running]
    for channel in sorted({one.start.channel for one in running}):
        own = [i for i, one in enumerate(running) if one.start.channel == channel]
        asked = [running[i].asked[: limit - running[i].queries] for i in own]
        judged = iter(target.judge([draft.text for drafts in asked for draft in drafts], channel))
        for i, drafts in zip(own, asked):
            answers[i] = list(islice(judged, len(drafts)))
    return answers
