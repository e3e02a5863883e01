"""Targets that go wrong on purpose: the harness must notice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from tests.fuzz.target import Factory, Finding, Target


def _target(name: str, wrong: Callable[[], None], at: tuple[int, ...]) -> Factory:
    numbers = [str(number).encode() for number in at]

    def make(generator: random.Random, number: int) -> bytes:
        return str(number).encode()

    def run(content: bytes) -> None:
        if content in numbers:
            wrong()

    return lambda: Target(name, make, run)


def _hang() -> None:
    time.sleep(60)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGABRT)


def _raise() -> None:
    raise Finding("on purpose")


def _ask_for_memory() -> None:
    bytearray(1 << 45)


FACTORIES: dict[str, tuple[Factory, float]] = {
    "sham_fine": (_target("sham_fine", _raise, ()), 1.0),
    "sham_finding": (_target("sham_finding", _raise, (3, 7)), 1.0),
    "sham_hang": (_target("sham_hang", _hang, (5,)), 1.0),
    "sham_crash": (_target("sham_crash", _crash, (2, 9)), 1.0),
    "sham_memory": (_target("sham_memory", _ask_for_memory, (4,)), 1.0),
}
