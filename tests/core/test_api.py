"""What users build on is what was recorded: a change needs an edit of api.json that somebody reads."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import alknet_firewall
from alknet_firewall.cli.app import app
from tests.core.public_api import SNAPSHOT, surface

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(ROOT.glob("packages/*/pyproject.toml"))
FLAGGED_TEXT = "zz zzzz zzzz zzzzzzzz zzzz"  # to the tiny model of conftest.py


def flattened(value: Any, where: tuple[str, ...] = ()) -> dict[str, str]:
    if isinstance(value, dict) and value:
        return {
            key: told
            for name, inner in value.items()
            for key, told in flattened(inner, (*where, name)).items()
        }
    return {" / ".join(where): json.dumps(value)}


def test_the_public_api_is_the_recorded_one() -> None:
    recorded, now = (flattened(one) for one in (json.loads(SNAPSHOT.read_text("utf-8")), surface()))
    gone = [f"gone, needs a major version: {key}" for key in recorded if key not in now]
    changed = [
        f"changed: {key}: {recorded[key]} -> {told}"
        for key, told in now.items()
        if key in recorded and recorded[key] != told
    ]
    new = [f"new, a promise from now on: {key}" for key in now if key not in recorded]
    told = "\n".join([*gone, *changed, *new])
    assert not told, f"{told}\nIf that is meant: python -m tests.core.public_api, and a line in CHANGELOG.md"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.parent.name)
def test_all_packages_have_one_version(package: Path) -> None:
    version = alknet_firewall.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    project = tomllib.loads(package.read_text("utf-8"))["project"]
    assert project["version"] == version
    if project["name"] != "alknet-firewall":
        major = int(version.split(".")[0])
        assert f"alknet-firewall>={major}.0,<{major + 1}" in project["dependencies"]


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {alknet_firewall.__version__}\n" in citation


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["screen", "What is it?"], 0),
        (["screen", FLAGGED_TEXT], 3),
        (["screen", "--channel", "nowhere", "What is it?"], 2),
        (["screen", "--no-such-option"], 2),
        (["screen", "--file", "missing.txt"], 1),
        (["inspect", "missing.safetensors"], 1),
        (["weights", "path"], 0),
        (["--version"], 0),
        (["--help"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_commands_end_as_documented(
    arguments: list[str], status: int, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings.parent)
    if arguments[0] == "screen":
        arguments = [*arguments, "--config", settings.name]
    assert CliRunner().invoke(app, arguments).exit_code == status


def test_json_of_the_command_has_the_recorded_keys(settings: Path) -> None:
    ran = CliRunner().invoke(app, ["screen", "--json", "--config", str(settings), FLAGGED_TEXT])
    verdict, recorded = json.loads(ran.stdout), json.loads(SNAPSHOT.read_text("utf-8"))["keys"]
    assert list(verdict) == recorded["Verdict.to_dict()"]
    assert [list(alarm) for alarm in verdict["alarms"]] == [recorded["its alarms"]] * len(verdict["alarms"])
    assert verdict["alarms"]
