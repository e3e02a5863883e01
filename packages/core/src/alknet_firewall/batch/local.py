"""Processes of this machine: each screens parts with one thread."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from alknet_firewall.batch.parts import Part
from alknet_firewall.batch.screener import Setup
from alknet_firewall.batch.tally import Tally
from alknet_firewall.detector.detector import usable_cores
from alknet_firewall.errors import AlknetFirewallError, DataError

_MEMORY = 1 << 30  # bytes that a process may come to need; it starts with a third of it
_ATTEMPTS = 3  # at a part, by processes that end over it
# On the path of this process, without the working folder: a file `json.py` that lies among the data must not be run.
_START = "import sys; sys.path[:] = sys.argv[1:]; from alknet_firewall.batch.worker import main; main()"


class WorkerEnded(Exception):
    """A worker process is gone."""


class Worker:
    """A worker process.

    Attributes:
        identity: Of the firewall that it has loaded.
    """

    def __init__(self, setup: Setup) -> None:
        """Starts it, and waits until it is ready.

        Raises:
            AlknetFirewallError: It cannot load the firewall.
            WorkerEnded: It ended.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *filter(None, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
        )
        try:
            self.identity: Mapping[str, Any] = self._ask(setup.to_json())["identity"]
        except BaseException:
            self.kill()
            raise

    def screen(self, part: Part, run: str) -> Tally:
        """Has a part screened.

        Raises:
            AlknetFirewallError: The part cannot be screened.
            WorkerEnded: The process ended over it.
        """
        message = json.dumps({"part": asdict(part), "run": run})
        return Tally.from_dict(self._ask(message)["tally"])

    def kill(self) -> None:
        """Ends it at once; files are whole or not there."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _ask(self, message: str) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(message + "\n")
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError) as error:  # a broken pipe; a pipe that `kill` has closed
            raise WorkerEnded(self._ended()) from error
        if not line.endswith("\n"):
            raise WorkerEnded(self._ended())
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise AlknetFirewallError(answer["failed"])
        return answer

    def _ended(self) -> str:
        status = self._process.wait()
        return f"signal {-status}" if status < 0 else f"status {status}"


class Pool:
    """Worker processes that take parts one by one; one that ends is replaced, and its part screened again."""

    def __init__(self, setup: Setup, parts: Sequence[Part], run: str, first: Worker) -> None:
        """Starts nothing yet; `first` is a worker that was started already."""
        self._setup, self._run, self._identity = setup, run, first.identity
        self._left = deque(parts)
        self._attempts: Counter[int] = Counter()
        self._results: SimpleQueue[tuple[Part, Tally] | Exception] = SimpleQueue()
        self._workers: dict[int, Worker] = {0: first}
        self._lock = threading.Lock()
        self._stopped = False

    def screen(self, processes: int) -> Iterator[tuple[Part, Tally]]:
        """Parts as they are done, in any order.

        Raises:
            AlknetFirewallError: A part cannot be screened, or a worker not be started.
        """
        todo = len(self._left)
        threads = [
            threading.Thread(target=self._serve, args=(place,), daemon=True)
            for place in range(min(processes, todo))
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in range(todo):
                result = self._results.get()
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _serve(self, place: int) -> None:
        while (part := self._take()) is not None:
            try:
                tally = self._worker(place).screen(part, self._run)
            except WorkerEnded as ended:
                self._again(place, part, str(ended))
            except Exception as error:
                self._results.put(error)
                return
            else:
                self._results.put((part, tally))

    def _take(self) -> Part | None:
        with self._lock:
            return None if self._stopped or not self._left else self._left.popleft()

    def _worker(self, place: int) -> Worker:
        with self._lock:
            if place in self._workers:
                return self._workers[place]
        worker = Worker(self._setup)
        with self._lock:
            self._workers[place] = worker
            stopped = self._stopped
        if stopped:
            worker.kill()
            raise WorkerEnded("stopped")
        if worker.identity != self._identity:
            names = ", ".join(
                name for name in worker.identity if worker.identity[name] != self._identity.get(name)
            )
            raise DataError(f"changed while the run went on: {names or 'settings'}; start it again")
        return worker

    def _again(self, place: int, part: Part, how: str) -> None:
        with self._lock:
            if self._stopped:
                return
            ended = self._workers.pop(place, None)
            self._attempts[part.number] += 1
            if self._attempts[part.number] < _ATTEMPTS:
                self._left.appendleft(part)
        if ended is not None:
            ended.kill()
        if self._attempts[part.number] >= _ATTEMPTS:
            where = f"{self._setup.files[part.file].path}, rows from {part.first}"
            self._results.put(
                DataError(
                    f"{where}: {_ATTEMPTS} worker processes ended over this part ({how}). If memory is short, use "
                    "fewer --processes or a smaller --part-rows"
                )
            )

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers = list(self._workers.values())
        for worker in workers:
            worker.kill()


def default_processes() -> int:
    """As many as there are cores, and as fit into the memory that is free."""
    return max(1, min(usable_cores(), _free_memory() // _MEMORY))


def _free_memory() -> int:
    """Bytes; a great number where the system does not tell."""
    free = sys.maxsize
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    with suppress(OSError, ValueError):  # "max" where the control group has no limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        free = min(free, limit - used)
    return free
