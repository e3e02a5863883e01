"""Faults that need the real weights: a large file that stays mapped, and real allocations that fail.

Each is tried in a process of its own, at all bare doors one after the other, as some of them may end the process.

python -m tests.faults.real FAULT
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alknet_firewall import FirewallConfig
from alknet_firewall.detector.weights import default_weights_path
from alknet_firewall.errors import WeightsError
from tests.faults.bench import POLICIES, Bench, NotHere, Place, Unproven
from tests.faults.fault import Fault
from tests.faults.processes import in_child
from tests.hosts.cases import ATTACKS
from tests.hosts.cases import CASES as TEXTS

_WHY = "the engine is the same for all hosts: tried at its own doors"
_SECONDS = 200.0
_SPARE = 24 << 20
"""Bytes of memory that are left to a process that has loaded everything."""


class RealPlace(Place):
    """As its base, with an attack for the shipped codebook."""

    @property
    def attack(self) -> str:
        return ATTACKS[self.slot.channel]


Case = Callable[[Bench, RealPlace, Path], None]


def _config(policy: str, weights: Path) -> FirewallConfig:
    return FirewallConfig(weights=str(weights), plugins=(), threads=1, on_error=policy)


def _refused(damage: Callable[[Path], None], kind: str) -> Case:
    def case(bench: Bench, place: RealPlace, weights: Path) -> None:
        for policy in POLICIES:
            path = bench.fresh().with_suffix(".gguf")
            damage(path)
            bench.check_policy(place, policy, _config(policy, path), (kind,))
        path.unlink(missing_ok=True)
        path.symlink_to(weights)
        bench.check_right(place, _config(POLICIES[-1], path))

    return case


def _while_running(change: Callable[[Path], None]) -> Case:
    """Right answers as before: what is read while texts are screened is in memory."""

    def case(bench: Bench, place: RealPlace, weights: Path) -> None:
        path = Path(shutil.copy(weights, bench.fresh().with_suffix(".gguf")))
        config = _config("block", path)
        bench.check_right(place, config)
        change(path)
        bench.check_right(place, config)
        path.unlink(missing_ok=True)

    return case


def _no_memory_to_load(bench: Bench, place: RealPlace, weights: Path) -> None:
    for policy in POLICIES:
        path = bench.fresh().with_suffix(".gguf")
        path.symlink_to(weights)
        config = _config(policy, path)
        with _little_memory(_SPARE):  # no thread can be started, either
            bench.check_policy(place, policy, config, ("Error", "Exception", "Fail"), or_error=True)
        bench.check_right(place, config)


def _no_memory_to_screen(bench: Bench, place: RealPlace, weights: Path) -> None:
    """Nothing passes: by the policy, by an error, or because native code that finds no memory ends the process."""
    config = _config("block", weights)
    cases = [case for case in TEXTS if (case.id, case.channel) == ("attack in 20 kB", place.slot.channel)]
    long = str(cases[0].content)

    def work() -> str:
        bench.check_right(place, config)
        with _little_memory(1 << 20):
            seen = bench.send(place, long, config)
        return "it came out" if seen.arrived else "nothing"

    code, said = in_child(work)
    if said != "nothing" and (code, said) != (-signal.SIGABRT, ""):
        raise Unproven(f"with no memory left the process ended with {code}, and said: {said}")
    bench.check_right(place, config)


@contextmanager
def _little_memory(spare: int) -> Iterator[None]:
    """No more address space than there is now and a little."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _nothing(path: Path) -> None:
    pass


def _half(path: Path) -> None:
    whole = default_weights_path()
    with whole.open("rb") as source:
        path.write_bytes(source.read(whole.stat().st_size // 2))


def _cut(path: Path) -> None:
    os.truncate(path, 4096)


def _overwrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\x55" * size)


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"something else")
    os.replace(other, path)


CASES: dict[str, Case] = {
    "the real weights: missing": _refused(_nothing, "WeightsError"),
    "the real weights: cut": _refused(_half, "WeightsError"),
    "the real weights: cut while running": _while_running(_cut),
    "the real weights: overwritten while running": _while_running(_overwrite),
    "the real weights: replaced while running": _while_running(_replace),
    "the real weights: no address space to load (RLIMIT_AS)": _no_memory_to_load,
    "the real weights: no address space to screen (RLIMIT_AS)": _no_memory_to_screen,
}
_HOLDS = {
    "the real weights: cut while running": "right answer",
    "the real weights: overwritten while running": "right answer",
    "the real weights: replaced while running": "right answer",
    "the real weights: no address space to screen (RLIMIT_AS)": "nothing passes",
}
_found: dict[str, dict[str, str]] = {}


def _prove(name: str) -> Callable[[Bench, Place], str]:
    def prove(bench: Bench, place: Place) -> str:
        try:
            default_weights_path()
        except WeightsError as error:
            raise NotHere("the real weights are not on this machine") from error
        if name not in _found:
            _found[name] = _tried(name)
        said = _found[name].get(place.slot.name, "was not reached: " + _found[name].get("", "?"))
        if said:
            raise Unproven(said)
        return _HOLDS.get(name, "by policy")

    return prove


def _tried(name: str) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key != "ALKNET_FIREWALL_CACHE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.real", name],
        capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment,
    )  # fmt: skip
    said: dict[str, str] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            said.update(json.loads(line))
    return {**said, "": f"the process ended with {done.returncode}"}


FAULTS = [Fault(name, _prove(name), bare_only=_WHY) for name in CASES]


def main() -> None:
    from tests.faults import doors

    weights = default_weights_path()
    with tempfile.TemporaryDirectory(prefix="fault-matrix-") as folder:
        bench = Bench(Path(folder))
        for slot in doors.HOST.slots:
            said = ""
            try:
                CASES[sys.argv[1]](bench, RealPlace(doors.HOST, slot), weights)
            except Unproven as error:
                said = str(error)
            print(json.dumps({slot.name: said}), flush=True)


if __name__ == "__main__":
    main()
