"""Faults while text is screened: of the backend, of a plugin, of files that are in use, of the clock."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from alknet_firewall import Action, FirewallConfig
from tests.faults.bench import POLICIES, Bench, NotHere, Place, Unproven, is_bare
from tests.faults.fault import Fault, Prove
from tests.faults.plugin import armed

_DEADLINE_MS = 300.0
_WITHOUT_DEADLINE = {
    ("bare", "guard_stream"),
    ("bare", "conversation"),
    ("openai_agents", "response, held back"),
    ("nemo", "streamed output, guarded"),
    ("langchain", "response, streamed"),
    ("litellm", "response, streamed"),
}
"""Streams and conversations: `deadline_ms` does not count there; LlamaFirewall's slots are conversations, too."""
_TOGETHER = {("nemo", "retrieval"), ("nemo", "retrieval, Colang 2")}
"""Chunks that are found together have one deadline together: all are taken out, which the host does not call blocked."""


def by_policy(mode: str, *kinds: str, quotes: bool = False) -> Prove:
    """While `mode` is armed each policy is honoured; afterwards all is as it was."""

    def prove(bench: Bench, place: Place) -> str:
        for policy in POLICIES:
            config = bench.config(policy)
            bench.send(place, "", config)  # loads it
            with armed(mode):
                bench.check_policy(place, policy, config, kinds, quotes=quotes)
            if policy in ("block", "allow"):
                bench.check_right(place, config)
        return "by policy"

    return prove


def _prove_hang(bench: Bench, place: Place) -> str:
    """By policy at the deadline; where none counts, whoever waits no longer gets nothing."""
    if is_bare(place) and place.slot.name == "stream":
        raise NotHere("a synchronous stream has no deadline: it waits as long as the backend hangs")
    if (place.host.name, place.slot.name) in _WITHOUT_DEADLINE or place.host.name == "llamafirewall":
        config = bench.config()
        bench.send(place, "", config)
        with armed("backend hangs"):
            seen = bench.drive(lambda: asyncio.wait_for(place.run(place.benign, config), _DEADLINE_MS / 1000))
        if seen.arrived or not isinstance(seen.raised, (TimeoutError, asyncio.TimeoutError)):
            raise Unproven(f"when the caller waits no longer: {seen.words()}")
        bench.check_right(place, config)
        return "nothing passes"
    if (place.host.name, place.slot.name) in _TOGETHER:
        config = bench.config(deadline_ms=_DEADLINE_MS)
        bench.send(place, "", config)
        with armed("backend hangs"):
            seen = bench.send(place, place.benign, config)
        if seen.arrived:
            raise Unproven(f"under `block`: {seen.words()}")
        _check_soon_right(bench, place, config)
        return "nothing passes"
    for policy in POLICIES:
        config = bench.config(policy, deadline_ms=_DEADLINE_MS)
        bench.send(place, "", config)
        with armed("backend hangs"):
            bench.check_policy(place, policy, config, ("DeadlineError", "OverloadedError"))
        _check_soon_right(bench, place, config)
    return "by policy"


def _check_soon_right(bench: Bench, place: Place, config: FirewallConfig) -> None:
    """For a moment what comes is still refused: the queue goes by how long the last batch took."""
    until = time.monotonic() + 5
    while True:
        try:
            bench.check_right(place, config)
            return
        except Unproven:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _prove_exit(bench: Bench, place: Place) -> str:
    """By policy; or the exit goes on to the caller, as Python means it, and nothing passes."""
    try:
        return by_policy("plugin exits", "SystemExit", "PluginError", "DetectorError")(bench, place)
    except Unproven:
        config = bench.config()
        with armed("plugin exits"):
            seen = bench.send(place, place.benign, config)
        if seen.arrived or seen.action is Action.ALLOW:
            raise
        bench.check_right(place, config)
        return "nothing passes"


def no_matter(mode: str) -> Prove:
    """What `mode` does changes no answer."""

    def prove(bench: Bench, place: Place) -> str:
        with armed(mode):
            bench.check_right(place, bench.config())
        return "right answer"

    return prove


def in_use(change: Callable[[Path], None]) -> Prove:
    """Files change while a firewall that was made of them runs: no answer changes."""

    def prove(bench: Bench, place: Place) -> str:
        folder = bench.copy()
        config = bench.config(weights=str(folder / "weights"), codebook=str(folder / "codebook.safetensors"))
        bench.check_right(place, config)
        change(folder)
        bench.check_right(place, config)
        return "right answer"

    return prove


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)


def _prove_clock(bench: Bench, place: Place) -> str:
    config = bench.config()
    bench.send(place, "", config)
    with _clocks_going_back():
        bench.check_right(place, config)
    bench.check_right(place, config)
    return "right answer"


@contextmanager
def _clocks_going_back() -> Iterator[None]:
    """To the package each look at the clock of the wall is an hour earlier than the last, and no other clock goes on.

    Those of Python itself and of hosts are left alone. One that is monotonic stands still at worst.
    """
    now, stood = [time.time()], time.monotonic()

    def earlier() -> float:
        now[0] -= 3600.0
        return now[0]

    still = {"monotonic": lambda: stood, "perf_counter": lambda: stood}
    wrong = SimpleNamespace(**{**vars(time), "time": earlier, **still})
    own = [
        module
        for name, module in sys.modules.items()
        if name.partition(".")[0].startswith("alknet_firewall") and getattr(module, "time", None) is time
    ]
    for module in own:
        vars(module)["time"] = wrong
    try:
        yield
    finally:
        for module in own:
            vars(module)["time"] = time


FAULTS = [
    Fault("backend raises", by_policy("backend raises", "RuntimeError")),
    Fault("backend gives NaN", by_policy("backend gives NaN", "DetectorError")),
    Fault(
        "backend gives states of the wrong width",
        by_policy("backend gives the wrong width", "ValueError", "DetectorError"),
    ),
    Fault("backend gives too few texts", by_policy("backend gives too few texts", "DetectorError")),
    Fault("backend finds no memory", by_policy("backend out of memory", "MemoryError")),
    Fault("backend hangs", _prove_hang),
    Fault(
        "plugin raises and quotes the text",
        by_policy("plugin raises and quotes the text", "RuntimeError", quotes=True),
    ),
    Fault("plugin gives NaN", by_policy("plugin gives NaN", "DetectorError")),
    Fault("plugin calls `sys.exit`", _prove_exit),
    Fault("plugin is slow", no_matter("plugin is slow")),
    Fault("weights cut while running", in_use(lambda folder: _cut(folder / "weights/model.safetensors"))),
    Fault(
        "weights overwritten while running",
        in_use(lambda folder: _overwritten(folder / "weights/model.safetensors")),
    ),
    Fault("weights and codebook deleted while running", in_use(shutil.rmtree)),
    Fault(
        "codebook overwritten while running",
        in_use(lambda folder: _overwritten(folder / "codebook.safetensors")),
    ),
    Fault("clock goes back", _prove_clock),
]
