"""Runs the inputs of one target in a process of its own; tells in a mapped file where it is.

A crash of the process, or an input that takes too long, is seen by the one that started it (`runner.py`).
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.registry import target_of
from tests.fuzz.target import Target, input_of

STARTING = -1
_KEPT = 20  # findings of one kind are alike: the files of more than these tell nothing new
_MOST_MEMORY = 12 << 30  # bytes of address space: who asks for more gets a MemoryError, which is a finding
_FORMAT = struct.Struct("<qqdd")  # number now at, findings so far, longest time of one input, seconds computed in inputs


class Progress:
    """Where a worker is, in a file that is mapped by both sides."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(handle, _FORMAT.size)
        self._map = mmap.mmap(handle, _FORMAT.size)
        os.close(handle)

    def tell(self, number: int, findings: int, longest: float, spent: float) -> None:
        _FORMAT.pack_into(self._map, 0, number, findings, longest, spent)

    def seen(self) -> tuple[int, int, float, float]:
        number, findings, longest, spent = _FORMAT.unpack_from(self._map, 0)
        return number, findings, longest, spent


def keep_finding(folder: Path, target: str, number: int, content: bytes, why: str) -> None:
    """Writes an input that did something unexpected, and what that was."""
    place = folder / "findings"
    place.mkdir(exist_ok=True)
    (place / f"{target}-{number}.bin").write_bytes(content)
    (place / f"{target}-{number}.txt").write_text(why, encoding="utf-8", errors="backslashreplace")


def run_inputs(target: Target, seed: int, numbers: range, folder: Path, progress: Progress) -> None:
    """Runs inputs; what a target raises is kept as a finding."""
    findings, longest, spent = 0, 0.0, 0.0
    for number in numbers:
        content = input_of(target, seed, number)
        progress.tell(number, findings, longest, spent)
        started, computed = time.monotonic(), time.process_time()
        try:
            target.run(content)
        except KeyboardInterrupt:
            raise
        except BaseException:  # a panic of a Rust library derives from BaseException
            findings += 1
            if findings <= _KEPT:
                keep_finding(folder, target.name, number, content, traceback.format_exc())
        longest, spent = max(longest, time.monotonic() - started), spent + time.process_time() - computed
    progress.tell(numbers.stop, findings, longest, spent)


def main(arguments: list[str]) -> None:
    """Arguments: target, seed, first number, the number behind the last, folder."""
    name, folder = arguments[0], Path(arguments[4])
    seed, first, end = (int(argument) for argument in arguments[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
    progress = Progress(folder / f"{name}.progress")
    progress.tell(STARTING, 0, 0.0, 0.0)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    except ImportError:  # Windows
        pass
    target = target_of(name)
    try:
        run_inputs(target, seed, range(first, end), folder, progress)
    finally:
        target.close()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what is damaged on purpose is told of each time
    main(sys.argv[1:])
