"""The process around the firewall: forks, what a start loads, what is not reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FORKS = """
import asyncio, os, sys, warnings
from alknet_firewall import Firewall, FirewallConfig

warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested here
firewall = Firewall(FirewallConfig.from_file(sys.argv[1], threads=2, cache_verdicts=5)).warm_up()
both = lambda: [firewall.screen("zzzzzzzz zzzzzzzz"), asyncio.run(firewall.screen_async("zzzzzzzz zzzzzzzzz"))]
before, engine = both(), id(firewall.engine)
firewall._lock.acquire()  # as if another thread were loading
child = os.fork()
if child == 0:
    assert both() == before and id(firewall.engine) != engine
    sys.exit(5)  # as a server's worker ends
_, status = os.waitpid(child, 0)
assert both() == before
print(os.WEXITSTATUS(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_screens_and_ends(settings: Path) -> None:
    code = FORKS.replace("sys.argv[1]", repr(str(settings)))
    assert run_python(code) == "5"


STARTS = """
import sys
from alknet_firewall import Firewall, FirewallConfig

assert Firewall(FirewallConfig.from_file({path!r})).screen("text").error is None
print(*sorted({{"onnx", "torch", "transformers", "rich", "typer", "huggingface_hub"}} & set(sys.modules)))
"""


def test_what_a_warm_start_does_not_load(settings: Path) -> None:
    code = STARTS.format(path=str(settings))
    run_python(code)  # the first time, the graph is written
    assert run_python(code, PYTHONWARNINGS="error") == ""


def test_onnx_runtime_is_told_not_to_report_to_its_makers(settings: Path) -> None:
    code = STARTS.format(path=str(settings)) + "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.stdout.split() == ["1"], done.stderr
