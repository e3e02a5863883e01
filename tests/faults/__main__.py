"""Tries every cell, prints the table, and writes it into a page.

python -m tests.faults [--host NAME]... [--fault NAME]... [--page docs/fault-matrix.md]
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.faults.page import Cell, page, summary
from tests.faults.worker import FAULTS, NOT_HERE, OPEN, cells_of, host_names, host_of
from tests.hosts.contract import missing

_PAGE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
_MOST_SECONDS = 240.0
"""For one cell; one that takes longer hangs."""
_STARTS = 5
"""Of the processes of one host, if cells hang."""


def cells(host: str, wanted: list[str]) -> list[Cell]:
    """Tries the cells of a host in a process of its own; a new one goes on where a cell hung or ended it."""
    found: list[Cell] = []
    places = [(fault.name, place.slot.name) for fault, place in cells_of(host, wanted)]
    absent = missing(host_of(host))
    for _ in range(_STARTS):
        if absent or len(found) == len(places):
            break
        command = [sys.executable, "-m", "tests.faults.worker", host, str(len(found)), *wanted]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        while len(found) < len(places):
            fault, slot = places[len(found)]
            try:
                line = lines.get(timeout=_MOST_SECONDS)
            except queue.Empty:
                process.kill()
                found.append(Cell(fault, host, slot, OPEN, "hangs", _MOST_SECONDS))
                print(f"  {found[-1]}", flush=True)
                break
            if not line:
                found.append(Cell(fault, host, slot, OPEN, f"ended the process ({process.wait()})", 0.0))
                print(f"  {found[-1]}", flush=True)
                break
            found.append(Cell(fault, host, slot, *json.loads(line)))
            print(f"  {found[-1]}", flush=True)
        process.kill()
        process.wait()
    why = f"not installed: {', '.join(absent)}" if absent else "the process of this host ended too often"
    return found + [
        Cell(*place, NOT_HERE if absent else OPEN, why, 0.0) for place in _left(host, places, found)
    ]


def _left(host: str, places: list[tuple[str, str]], found: list[Cell]) -> list[tuple[str, str, str]]:
    return [(fault, host, slot) for fault, slot in places[len(found) :]]


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("["):
            lines.put(line)
    lines.put("")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--host", action="append", choices=host_names(), help="only this host; may be repeated"
    )
    parser.add_argument("--fault", action="append", choices=[fault.name for fault in FAULTS], metavar="NAME")
    parser.add_argument(
        "--page", type=Path, help="where the page goes; by default docs/fault-matrix.md if all is tried"
    )
    given = parser.parse_args()
    hosts, wanted = given.host or host_names(), given.fault or []
    begun, found = time.monotonic(), []
    for host in hosts:
        print(host, flush=True)
        found += cells(host, wanted)
    print(summary(found), f"{time.monotonic() - begun:.0f} s")
    whole = not given.host and not given.fault and not any(missing(host_of(host)) for host in hosts)
    target = given.page or (_PAGE if whole else None)
    if target is not None:
        target.write_text(page(found), encoding="utf-8")
        print(f"written: {target.name}")
    return 1 if any(cell.state == OPEN for cell in found) else 0


if __name__ == "__main__":
    sys.exit(main())
