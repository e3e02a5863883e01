"""The examples run, offline, and what the attacker wants does not come through."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
EXAMPLES = {"llamafirewall": "llamafirewall", "openai_agents": "agents", "nemo": "nemoguardrails"}
"""Folders in `examples`, with the module that each needs."""


@pytest.mark.parametrize("folder", EXAMPLES)
def test_example(folder: str) -> None:
    for module in (EXAMPLES[folder], f"alknet_firewall_{folder}"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    script = _ROOT / "examples" / folder / "main.py"
    assert "attacker.example" in _sources(script.parent), "the attack is in the example"
    ran = subprocess.run(
        [sys.executable, script.name],
        cwd=script.parent,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "NEMO_GUARDRAILS_NO_USAGE_STATS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert "attacker.example" not in ran.stdout + ran.stderr
    assert "alknet-firewall" in ran.stdout, "the one who looks on is told"
    assert len((script.parent / "README.md").read_text().splitlines()) <= 12


def _sources(folder: Path) -> str:
    return "".join(
        path.read_text() for path in folder.rglob("*") if path.suffix in {".py", ".md", ".yml", ".co"}
    )
