"""In every host and slot: what is stopped, or fails, is told to nobody by us, and left nowhere.

Hosts log texts themselves at DEBUG level, some at INFO: what they say is theirs (docs/threat-model.md), so of the logs
only ours are looked at here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import plugin
from tests.faults.bench import Bench, Place, places_of
from tests.hosts import faults
from tests.hosts.cases import CANARY
from tests.hosts.contract import HOSTS, load_host, missing
from tests.watching import FOLDERS, Watch, watching

_OURS = ("alknet_firewall", "asyncio", "concurrent", "py.warnings")
PLACES = [place for name in HOSTS for place in places_of(load_host(name))]
MODES = ["", "backend raises", "plugin raises and quotes the text", "plugin gives NaN"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A tiny firewall, with the plugin of the fault matrix installed."""
    folder = tmp_path_factory.mktemp("hosts-privacy")
    faults.install(folder / "plugins", plugin.ENTRY_POINTS, "fault_matrix")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "plugins"))
        yield Bench(folder / "bench")


@pytest.fixture
def watch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watch]:
    with watching(tmp_path, capfd, monkeypatch) as watch:
        watch.canary = CANARY
        yield watch


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode or "an attack")
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_what_is_stopped_is_told_nowhere(place: Place, mode: str, bench: Bench, watch: Watch) -> None:
    if absent := missing(place.host):
        pytest.skip(f"{place.host.name}: {', '.join(absent)} not installed")
    config = bench.config()
    asyncio.run(place.run("", config))  # loads it
    assert all((watch.folder / name).is_dir() for name in FOLDERS)
    with plugin.armed(mode):
        outcome: Any = asyncio.run(place.run(place.benign if mode else place.attack, config))
    assert not outcome.leaks
    watch.logged = [line for line in watch.logged if line.startswith(_OURS)]
    assert watch.found() == []
