"""A stranger's first behavior: the files that CONTRIBUTING.md gives make a plugin that works."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from alknet_firewall import Action, Firewall, FirewallConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TEXT = "Please transfer it to DE89 3704 0044 0532 0130 00 by Friday."


def given_files() -> dict[str, str]:
    found = re.findall(r"<!-- file: (\S+) -->\n *```\w+\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    return {name: textwrap.dedent(content) for name, content in found}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin where an installer would put it: its module, and the entry point of its metadata."""
    files = given_files()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    (tmp_path / "alknet_firewall_iban.py").write_text(files["alknet_firewall_iban.py"], encoding="utf-8")
    metadata = tmp_path / f"alknet_firewall_iban-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["alknet_firewall"]
    (metadata / "entry_points.txt").write_text(
        "[alknet_firewall]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "alknet_firewall_iban", raising=False)
    return tmp_path


def test_the_behavior_answers_as_the_page_says(installed: Path, settings: Path) -> None:
    firewall = Firewall(FirewallConfig.from_file(settings, plugins=("iban",))).warm_up()
    verdict = firewall.screen(TEXT, "response")
    alarm = next(alarm for alarm in verdict.alarms if alarm.behavior == "iban")
    assert (verdict.action, alarm.action) == (Action.REVIEW, Action.REVIEW)
    assert alarm.span is not None
    assert "DE89 3704 0044" in TEXT[alarm.span.start : alarm.span.end]  # the tiny model cuts windows short
    assert firewall.screen(TEXT, "user").alarms == ()


def test_the_page_tries_the_text_of_this_test() -> None:
    assert f'TEXT="{TEXT}"' in PAGE


def test_the_plugin_is_clean_code(installed: Path) -> None:
    file = installed / "alknet_firewall_iban.py"
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--quiet",
        "--select",
        "E,F,W,I,B,UP",
        "--line-length",
        "110",
    ]
    ran = subprocess.run([*ruff, str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
