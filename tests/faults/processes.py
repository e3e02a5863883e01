"""What happens to the process: fork, spawn, threads, cancellation, signals in the middle of a screening."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alknet_firewall import Action, FirewallConfig
from tests.faults.bench import Bench, NotHere, Place, Unproven, places_of
from tests.faults.fault import Fault
from tests.faults.plugin import armed
from tests.hosts.cases import CANARY

_CHILD_SECONDS = 60.0
_THREADS = 4
_SYNCHRONOUS = ("screen", "screen_many", "stream")


def in_child(work: Callable[[], str]) -> tuple[int, str]:
    """Runs something in a forked child; how it ended (a signal as its negative number), and what it answered.

    Raises:
        Unproven: It did not end.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.write(writing, work().encode())
            status = 0
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status)
    os.close(writing)
    said, until = b"", time.monotonic() + _CHILD_SECONDS
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise Unproven("the forked child hangs")
            piece = pipe.read(1 << 16)
            if not piece:
                break
            said += piece
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode()


def _fork(bench: Bench, place: Place) -> str:
    config = bench.config()
    bench.check_right(place, config)  # loaded, and its threads started

    def work() -> str:
        bench.check_right(place, config)
        return "right"

    code, said = in_child(work)
    if (code, said) != (0, "right"):
        raise Unproven(f"in the forked child: {said or code}")
    bench.check_right(place, config)
    return "right answer"


def _in_spawned(host: str, folder: str, path: list[str], queue: multiprocessing.Queue[str]) -> None:
    """What the spawned process does: everything anew, in every place of a host."""
    from tests.faults.worker import host_of

    sys.path[:] = path
    bench, said = Bench(Path(folder)), {}
    for place in places_of(host_of(host)):
        try:
            bench.check_right(place, bench.config())
            said[place.slot.name] = ""
        except Unproven as error:
            said[place.slot.name] = str(error)
    queue.put(json.dumps(said))


_spawned: dict[str, dict[str, str]] = {}


def _spawn(bench: Bench, place: Place) -> str:
    name = place.host.name
    if name not in _spawned:  # once a host: it takes seconds to import one
        bench.check_right(place, bench.config())
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        given = (name, str(bench.fresh()), list(sys.path), queue)
        process = context.Process(target=_in_spawned, args=given, daemon=True)
        process.start()
        try:
            _spawned[name] = json.loads(queue.get(timeout=3 * _CHILD_SECONDS))
        except Exception as error:
            raise Unproven(f"nothing comes from the spawned process ({type(error).__name__})") from error
        finally:
            process.join(5)
            process.kill()
    said = _spawned[name].get(place.slot.name, "was not tried")
    if said:
        raise Unproven(f"in the spawned process: {said}")
    return "right answer"


def _threads(bench: Bench, place: Place) -> str:
    if place.host.name == "litellm":
        raise NotHere("LiteLLM keeps its callbacks, and the scripted model, for the whole process")
    # One application of NeMo belongs to one event loop: each thread has its own, and its own engine.
    shared = place.host.name != "nemo"
    configs = [bench.config(max_waiting=1024 + (0 if shared else number)) for number in range(_THREADS)]
    for config in configs:
        bench.send(place, "", config)
    wrong: list[str] = []

    def both(config: FirewallConfig) -> None:
        try:
            for text, stopped in ((place.benign, False), (place.attack, True)) * 2:
                outcome = asyncio.run(place.run(text, config))
                if (outcome.decision is not Action.ALLOW) != stopped or outcome.leaks == stopped:
                    wrong.append(
                        f"{outcome.decision.value} for {'an attack' if stopped else 'a benign text'}"
                    )
        except Exception as error:
            wrong.append(f"{type(error).__name__}")

    threads = [threading.Thread(target=both, args=(config,), daemon=True) for config in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_CHILD_SECONDS)
    if wrong or any(thread.is_alive() for thread in threads):
        raise Unproven(f"in a thread: {wrong[0] if wrong else 'it hangs'}")
    return "right answer" if shared else "right answer, an app a thread"


def _cancelled(bench: Bench, place: Place) -> str:
    if place.host.name == "bare" and place.slot.name in _SYNCHRONOUS:
        raise NotHere("a synchronous call cannot be cancelled; see the signals")
    config = bench.config()
    bench.send(place, "", config)

    async def leave() -> object:
        task = asyncio.create_task(place.run(place.attack, config))
        await asyncio.sleep(0.02)
        while not task.done():  # NeMo waits for the model once more
            task.cancel()
            await asyncio.sleep(0.02)
        return await task

    with armed("plugin is slow"):
        seen = bench.drive(leave)
    if seen.arrived or seen.action is Action.ALLOW:
        raise Unproven(f"cancelled: {seen.words()}")
    bench.check_right(place, config)
    return "nothing passes"


def _interrupted(bench: Bench, place: Place) -> str:
    config = bench.config()
    bench.send(place, "", config)
    with armed("SIGINT"):
        seen = bench.send(place, place.attack, config)
        with suppress(KeyboardInterrupt):
            time.sleep(0.05)  # one that comes late
    if seen.arrived or seen.action is Action.ALLOW:
        raise Unproven(f"interrupted: {seen.words()}")
    bench.check_right(place, config)
    return "nothing passes"


def _alarmed(bench: Bench, place: Place) -> str:
    """The way in which many servers limit a request: a handler that raises wherever the main thread is."""
    config = bench.config()
    bench.send(place, "", config)
    with _raising_alarms(), armed("SIGALRM"):
        seen = bench.send(place, place.benign, config)
        with suppress(TimeoutError):
            time.sleep(0.05)
    if seen.arrived or seen.action is Action.ALLOW:
        raise Unproven(f"with an alarm: {seen.words()}")
    bench.check_right(place, config)
    return "nothing passes"


@contextmanager
def _raising_alarms() -> Iterator[None]:
    def expire(number: int, frame: object) -> None:
        raise TimeoutError("the request took too long")

    before = signal.signal(signal.SIGALRM, expire)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def _terminated(bench: Bench, place: Place) -> str:
    config = bench.config()
    bench.send(place, "", config)

    def work() -> str:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with armed("SIGTERM"):
            seen = bench.send(place, place.benign, config)
        return f"{seen.words()} {CANARY if seen.arrived else ''}"

    code, said = in_child(work)
    if code != -signal.SIGTERM or said:
        raise Unproven(f"the process ended with {code}: {said}")
    bench.check_right(place, config)
    return "nothing passes"


FAULTS = [
    Fault("fork after load", _fork),
    Fault("spawn", _spawn),
    Fault("four threads at once", _threads),
    Fault("cancelled in the middle", _cancelled),
    Fault("SIGINT in the middle", _interrupted),
    Fault("SIGALRM in the middle, its handler raises", _alarmed),
    Fault("SIGTERM in the middle", _terminated),
]
