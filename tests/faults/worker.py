"""Tries the cells of one host in this process, and prints each as a line of JSON.

python -m tests.faults.worker HOST DONE [FAULT...]
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"  # read when NeMo is imported

from tests.faults import caches, doors, loading, plugin, processes, real, running
from tests.faults.bench import Bench, NotHere, Place, Unproven, is_bare, places_of
from tests.faults.fault import Fault
from tests.hosts import faults
from tests.hosts.contract import HOSTS, HostFixture, load_host

BARE = "bare"
FAULTS: tuple[Fault, ...] = (
    *running.FAULTS, *loading.FAULTS, *caches.FAULTS, *processes.FAULTS, *real.FAULTS,
)  # fmt: skip
HELD, OPEN, NOT_HERE = "held", "open", "not here"


def host_of(name: str) -> HostFixture:
    """A host by name; the bare one by its doors."""
    return doors.HOST if name == BARE else load_host(name)


def host_names() -> list[str]:
    return [BARE, *(name for name in HOSTS if name != BARE)]


def try_cell(bench: Bench, fault: Fault, place: Place) -> tuple[str, str]:
    """The state of a cell, and what is to be said of it."""
    if fault.bare_only and not is_bare(place):
        return NOT_HERE, fault.bare_only
    try:
        return HELD, fault.prove(bench, place)
    except NotHere as reason:
        return NOT_HERE, str(reason)
    except Unproven as hole:
        return OPEN, str(hole)
    except Exception as error:
        return OPEN, f"the proof itself failed: {type(error).__name__}: {error}"


def cells_of(name: str, wanted: Sequence[str] = ()) -> list[tuple[Fault, Place]]:
    """The cells of a host, in order; `wanted` names the faults, all if it is empty."""
    places = places_of(host_of(name))
    return [(fault, place) for fault in FAULTS for place in places if not wanted or fault.name in wanted]


def try_host(name: str, wanted: Sequence[str], done: int, folder: Path) -> None:
    """Tries the cells of a host behind the first `done`."""
    os.environ["ALKNET_FIREWALL_CACHE"] = str(folder / "cache")
    faults.install(folder / "plugins", plugin.ENTRY_POINTS, "fault_matrix")
    sys.path.insert(0, str(folder / "plugins"))
    bench = Bench(folder / "bench")
    for fault, place in cells_of(name, wanted)[done:]:
        begun = time.monotonic()
        state, said = try_cell(bench, fault, place)
        print(json.dumps([state, said, round(time.monotonic() - begun, 2)]), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory(prefix="fault-matrix-", ignore_cleanup_errors=True) as temporary:
        try_host(sys.argv[1], sys.argv[3:], int(sys.argv[2]), Path(temporary))
    sys.stdout.flush()
    os._exit(0)  # threads of hosts that hang are not waited for
