"""Ray Data: on a local cluster of two workers, of which one is killed, the output is that of one process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from alknet_firewall import FirewallConfig
from alknet_firewall.batch import Job, Progress, screen_dataset
from alknet_firewall.errors import AlknetFirewallError

ray = pytest.importorskip("ray", reason="needs the extra `ray`")
pytest.importorskip("ray.data", reason="needs the extra `ray`")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds Ray's workers in /proc"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two workers on this machine, with little memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        try:
            ray.init(
                num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False,
                configure_logging=False, address="local",
            )  # fmt: skip
        except Exception as error:  # Ray's own, which has no kind: its agents must be there within 15 s
            if "timed out during startup" not in str(error):
                raise
            pytest.skip("Ray's cluster did not start: the machine is too busy")
        yield
        ray.shutdown()


def actors() -> list[int]:
    """Processes of this test's cluster that screen."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            ancestors = _ancestors(int(folder.name))
        except (OSError, ValueError):
            continue  # it is gone
        if b"ray::" in command and b"MapWorker" in command and os.getpid() in ancestors:
            found.append(int(folder.name))
    return found


def _ancestors(pid: int) -> set[int]:
    found: set[int] = set()
    while pid > 1:
        status = Path(f"/proc/{pid}/stat").read_text()
        pid = int(status.rpartition(")")[2].split()[1])
        found.add(pid)
    return found


def test_a_killed_worker_changes_nothing(cluster: None, settings: Path, tmp_path: Path) -> None:
    source, config = tmp_path / "in.jsonl", FirewallConfig.from_file(settings)
    rows = [json.dumps({"id": i, "text": "zzz zzzz zz" if i % 5 == 0 else f"text {i}"}) for i in range(600)]
    source.write_text("\n".join([*rows[:300], "broken", *rows[300:]]))
    killed: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.rows >= 100 and not killed:
            killed.append(actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    job = Job((str(source),), str(tmp_path / "ray.jsonl"), part_rows=10)
    result = screen_dataset(job, config, engine="ray", processes=2, progress=watch)
    local = Job((str(source),), str(tmp_path / "local.jsonl"), part_rows=10)
    assert screen_dataset(local, config, processes=1).tally.rows == result.tally.rows == 600
    assert killed and result.processes == 2
    for name in ("ray.jsonl", "ray.jsonl.rejected.jsonl"):
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("ray", "local")).read_bytes()


def test_what_goes_wrong_in_an_actor_is_told(cluster: None, settings: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "a"}\n' * 40)
    job = Job((str(source),), str(tmp_path / "out.jsonl"), part_rows=10)

    def spoil(progress: Progress) -> None:
        source.write_text("")

    with pytest.raises(AlknetFirewallError, match="changed while it was screened"):
        screen_dataset(job, FirewallConfig.from_file(settings), engine="ray", processes=1, progress=spoil)
