"""The supply chain: wheels of the same bytes, an audit that says what it could not see, a bill without our folders."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "supply_chain" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _copied(to: Path, mode: int) -> Path:
    """The sources of a package in another place, with other dates and modes of files."""
    source = ROOT / "packages" / "adapter-llamafirewall"
    copy = to / "packages" / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "dist"))
    for path in copy.rglob("*"):
        if path.is_file():
            os.chmod(path, mode)
            os.utime(path, (mode * 1e6, mode * 1e6))
    return to


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    wheels = script("wheels")
    roots = [_copied(tmp_path / "one", 0o644), _copied(tmp_path / "another place", 0o640)]
    try:
        sums = [wheels.build(root / "dist", uv, root) for root in roots]
    except subprocess.CalledProcessError:
        pytest.skip("nothing can be built here: the index is out of reach")
    assert sums[0] == sums[1]
    assert {name.partition("-")[2].partition(".")[2][-3:] for name in sums[0]} == {"whl", ".gz"}
    assert (roots[0] / "dist" / wheels.SUMS).read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([{"name": "numpy", "version": "1", "vulns": []}], 0, "no known weakness in 1 packages"),
        ([{"name": "numpy", "skip_reason": "not found"}], 3, "NOT AUDITED: 1 of 1 packages (numpy)"),
        (
            [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}],
            3,
            "NOT AUDITED: 1 of 2 packages (b)",
        ),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: PYSEC-1, mended in 2",
        ),
        (
            [{"name": "alknet-firewall", "skip_reason": "ours"}, {"name": "a", "version": "1", "vulns": []}],
            0,
            "no known weakness in 1 packages",
        ),
    ],
)
def test_what_was_not_audited_is_not_called_clean(
    packages: list[dict[str, Any]], code: int, told: str
) -> None:
    assert script("audit").judged({"dependencies": packages})[0] == code
    assert script("audit").judged({"dependencies": packages})[1][0] == told


def test_an_audit_that_cannot_run_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    audit = script("audit")
    monkeypatch.setattr(sys, "argv", ["audit.py", "--no-such-option"])
    assert audit.main() == audit.NOT_AUDITED
    assert "NOT AUDITED: " in capfd.readouterr().err


def test_a_bill_holds_no_folder_or_index_of_this_machine() -> None:
    bill = {
        "components": [
            {
                "name": "numpy",
                "externalReferences": [
                    {"type": "distribution", "url": "file:///home/somebody/numpy.whl"},
                    {"type": "website", "url": "https://numpy.org"},
                ],
            }
        ]
    }
    cleaned = script("sbom").without_places(bill)
    assert "somebody" not in json.dumps(cleaned) and "numpy.org" in json.dumps(cleaned)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_dependency_has_a_lower_bound(package: Path) -> None:
    content = (package / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)\]$", content, re.DOTALL | re.MULTILINE)
    assert listed
    for line in re.findall(r'"([^"]+)"', listed.group(1)):
        assert ">=" in line or "==" in line, f"{line} has no lower bound"


def test_bandit_finds_nothing_that_was_not_judged() -> None:
    pytest.importorskip("bandit")
    command = [
        sys.executable,
        "-m",
        "bandit",
        "--quiet",
        "--recursive",
        "--configfile",
        "pyproject.toml",
        "packages",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout
