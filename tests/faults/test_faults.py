"""A slice of the fault matrix; `make faults` tries all of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import plugin
from tests.faults.bench import Bench, NotHere, Place, Unproven, places_of
from tests.faults.doors import HOST
from tests.faults.page import Cell, page, summary
from tests.faults.processes import in_child
from tests.faults.worker import BARE, FAULTS, HELD, NOT_HERE, OPEN, Fault, host_names, host_of, try_cell
from tests.hosts import faults
from tests.hosts.contract import missing

_SLOW = ("spawn", "the real weights")
QUICK = [fault for fault in FAULTS if not fault.name.startswith(_SLOW)]
DOORS = places_of(HOST)
IN_HOSTS = (
    "backend raises",
    "plugin raises and quotes the text",
    "weights missing",
    "fork after load",
    "SIGINT in the middle",
)
"""Faults that the slice tries in the first slot of each host."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults")
    faults.install(folder / "plugins", plugin.ENTRY_POINTS, "fault_matrix")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "plugins"))
        yield Bench(folder / "bench")


def _check(bench: Bench, fault: Fault, place: Place) -> None:
    state, said = try_cell(bench, fault, place)
    if state == NOT_HERE:
        pytest.skip(said)
    assert state == HELD, said


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_at_a_door(bench: Bench, fault: Fault) -> None:
    """Each fault at one of the doors, so that every door has its turn."""
    _check(bench, fault, DOORS[QUICK.index(fault) % len(DOORS)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in host_names() if name != BARE])
@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.name in IN_HOSTS], ids=lambda fault: fault.name
)
def test_in_a_host(bench: Bench, fault: Fault, name: str) -> None:
    host = host_of(name)
    if absent := missing(host):
        pytest.skip(f"{name}: {', '.join(absent)} not installed")
    _check(bench, fault, places_of(host)[0])


def test_a_proof_tells_a_hole(bench: Bench) -> None:
    """What lets text pass while a fault lasts is not taken for held."""
    place, config = DOORS[0], bench.config("allow")
    bench.send(place, "", config)
    with (
        plugin.armed("backend raises"),
        pytest.raises(Unproven, match="under `block`: allow, the text came out"),
    ):
        bench.check_policy(place, "block", config, ("RuntimeError",))
    with plugin.armed("backend raises"), pytest.raises(Unproven, match="an attack is not stopped"):
        bench.check_right(place, config)
    with pytest.raises(Unproven, match="no RuntimeError is named"):
        bench.check_policy(place, "allow", config, ("RuntimeError",))


def test_a_hole_and_a_reason_are_shown() -> None:
    def leaks(bench: Bench, place: Place) -> str:
        raise Unproven("the text came out")

    def absent(bench: Bench, place: Place) -> str:
        raise NotHere("no such thing here")

    def broken(bench: Bench, place: Place) -> str:
        raise KeyError("x")

    states = [try_cell(None, Fault(prove.__name__, prove), DOORS[0]) for prove in (leaks, absent, broken)]  # type: ignore[arg-type]
    assert [state for state, _ in states] == [OPEN, NOT_HERE, OPEN]
    cells = [Cell(f"fault {at}", BARE, "screen", *state, 0.1) for at, state in enumerate(states)]
    held = [Cell(cell.fault, BARE, "stream", HELD, "by policy", 0.1) for cell in cells]
    shown = page([*cells, *held])
    assert "| fault 0 | **open** | by policy |" in shown and "- fault 1 (screen): no such thing here" in shown
    assert summary(cells) == "3 cells: 0 hold, 2 are open, 1 cannot be tried."


def test_a_child_that_dies_is_told() -> None:
    def dies() -> str:
        os.kill(os.getpid(), signal.SIGKILL)

    code, said = in_child(dies)
    assert code < 0 and said == ""
    assert in_child(lambda: "well") == (0, "well")


def test_the_page_is_that_of_these_faults() -> None:
    content = (Path(__file__).parents[2] / "docs" / "fault-matrix.md").read_text(encoding="utf-8")
    for fault in FAULTS:
        assert f"| {fault.name} |" in content, "run: make faults"
