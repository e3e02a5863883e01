"""Runs targets to a number of inputs, goes on where it stopped, and watches for hangs and crashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.registry import chosen, target_of
from tests.fuzz.target import input_of
from tests.fuzz.worker import STARTING, Progress, keep_finding

ROOT = Path(__file__).resolve().parents[2]
_STARTUP = 300.0  # seconds that a worker may take to set its target up
_POLL = 0.05
_CHUNK = 20_000  # inputs between two writings of the state


@dataclass
class TargetState:
    """What was done of a target: inputs run, findings, hangs, crashes, the longest time of an input, seconds computed."""

    done: int = 0
    findings: int = 0
    hangs: int = 0
    crashes: int = 0
    longest: float = 0.0
    spent: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.findings or self.hangs or self.crashes)


@dataclass
class State:
    """What was done, by target; kept in a file."""

    seed: int
    targets: dict[str, TargetState] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, seed: int) -> State:
        """Reads the file, or begins anew.

        Raises:
            ValueError: It is of another seed.
        """
        if not path.is_file():
            return cls(seed)
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["seed"] != seed:
            raise ValueError(f"{path} is of seed {told['seed']}: give --seed {told['seed']}, or another folder")
        return cls(seed, {name: TargetState(**one) for name, one in told["targets"].items()})

    def write(self, path: Path) -> None:
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(temporary, path)


def shares(inputs: int, targets: Sequence[str]) -> dict[str, int]:
    """How many of the inputs each target gets."""
    weights = {name: weight for name, (_, weight) in chosen(list(targets)).items()}
    total = sum(weights.values())
    given = {name: int(inputs * weight / total) for name, weight in weights.items()}
    first = next(iter(given))
    given[first] += inputs - sum(given.values())
    return given


def run(
    inputs: int,
    folder: Path,
    targets: Sequence[str],
    seed: int = 0,
    deadline: float = 10.0,
    report: Callable[[str], None] = print,
) -> State:
    """Brings every target to its share of the inputs.

    Args:
        inputs: Over all targets, those of earlier runs in the same folder included.
        folder: For the state, and what is found.
        targets: Names.
        seed: Of all inputs.
        deadline: Seconds that one input may take.
        report: Is told a line now and then.

    Raises:
        ValueError: A target is unknown, or the folder is of another seed.
    """
    parts = shares(inputs, targets)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.json"
    state = State.read(path, seed)
    for name, share in parts.items():
        own = state.targets.setdefault(name, TargetState())
        while own.done < share:
            try:
                _run_chunk(name, own, min(own.done + _CHUNK, share), seed, folder, deadline)
            finally:
                state.write(path)
            report(
                f"{name}: {own.done:,} of {share:,}, {own.findings} findings, {own.hangs} hangs, {own.crashes} crashes, "
                f"{own.spent / max(own.done, 1) * 1e3:.2f} ms each, longest {own.longest:.2f} s"
            )
    return state


def _run_chunk(name: str, own: TargetState, end: int, seed: int, folder: Path, deadline: float) -> None:
    """Runs a worker until it is through, hangs, or dies; what it did is added, even after Ctrl-C."""
    file = folder / f"{name}.progress"
    file.unlink(missing_ok=True)
    progress = Progress(file)
    progress.tell(STARTING, 0, 0.0, 0.0)
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(seed), str(own.done), str(end), str(folder)]
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    try:
        hung = _watch(worker, progress, deadline)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
        number, findings, longest, spent = progress.seen()
        file.unlink(missing_ok=True)
        if number != STARTING:
            own.done, own.findings = number, own.findings + findings
            own.longest, own.spent = max(own.longest, longest), own.spent + spent
    if number == STARTING:
        told = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"target {name} cannot be set up, or took over {_STARTUP:.0f} s:\n{told}")
    if number < end:  # it hung or died at this input
        why = f"no answer within {deadline} s" if hung else f"the process ended with status {worker.returncode}"
        keep_finding(folder, name, number, _made_again(name, seed, number), f"{why}\n{log.read_text(errors='replace')[-4000:]}")
        own.hangs, own.crashes, own.done = own.hangs + hung, own.crashes + (not hung), number + 1
    log.unlink(missing_ok=True)


def _watch(worker: subprocess.Popen[bytes], progress: Progress, deadline: float) -> bool:
    """Waits for the worker; whether it hung."""
    at, since = STARTING, time.monotonic()
    while worker.poll() is None:
        time.sleep(_POLL)
        number, now = progress.seen()[0], time.monotonic()
        if number != at:
            at, since = number, now
        elif now - since > (_STARTUP if at == STARTING else deadline):
            return worker.poll() is None
    return False


def _made_again(name: str, seed: int, number: int) -> bytes:
    target = target_of(name)
    try:
        return input_of(target, seed, number)
    finally:
        target.close()
