"""The example plugin, installed: its alarm comes out of a real firewall."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import Action, Firewall, FirewallConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "behavior_plugin"
MODULE = EXAMPLE / "alknet_firewall_secrets.py"

# Keys that their makers publish as examples, or that nobody ever had.
AWS_KEY = "AKIAIOSFODNN7EXAMPLE"
LEAKS = {
    "AWS access key": f"[default]\naws_access_key_id = {AWS_KEY}",
    "private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA",
    "GitHub token": "remote: https://ghp_" + "a1B2" * 9 + "@github.com/x/y",
    "JSON web token": "Authorization: Bearer eyJhbGciOiJub25lIn0" + ".eyJzdWIiOiJleGFtcGxlIn0" + ".",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the plugin is installed into, as an installer would: its module and its metadata."""
    folder = tmp_path_factory.mktemp("site")
    project: dict[str, Any] = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["alknet_firewall"]
    lines = ["[alknet_firewall]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    shutil.copy(MODULE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
        sys.modules.pop(MODULE.stem, None)


@pytest.fixture(scope="module")
def guarded(installed: Path) -> Firewall:
    """A firewall with the plugin and what comes with the package."""
    return Firewall(FirewallConfig(plugins=("secrets",))).warm_up()


@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("channel", ["tool", "response"])
def test_a_credential_asks_for_review_and_is_pointed_at(guarded: Firewall, kind: str, channel: str) -> None:
    text = f"Here is what I found.\n{LEAKS[kind]}\nAnything else?"
    verdict = guarded.screen(text, channel)
    alarm = next(alarm for alarm in verdict.alarms if alarm.behavior == "secrets")
    assert verdict.flagged
    assert alarm.action is Action.REVIEW
    assert alarm.contributions == {kind: 1.0}
    assert alarm.evidence == 1.0
    assert alarm.span is not None
    assert import_module(MODULE.stem).KINDS[kind].search(text[alarm.span.start : alarm.span.end])


def test_several_credentials_add_up(guarded: Firewall) -> None:
    verdict = guarded.screen("\n".join(LEAKS.values()), "tool")
    alarm = next(alarm for alarm in verdict.alarms if alarm.behavior == "secrets")
    assert alarm.contributions == dict.fromkeys(LEAKS, 1.0)
    assert alarm.evidence == sum(alarm.contributions.values())


def test_it_is_found_in_a_later_window(guarded: Firewall) -> None:
    text = "A long and dull report about nothing in particular. " * 100 + f"key: {AWS_KEY}"
    verdict = guarded.screen(text, "tool")
    alarm = next(alarm for alarm in verdict.alarms if alarm.behavior == "secrets")
    assert alarm.span is not None
    assert AWS_KEY in text[alarm.span.start : alarm.span.end]


@pytest.mark.parametrize("channel", ["user", "document"])
def test_what_the_user_brings_is_not_our_matter(guarded: Firewall, channel: str) -> None:
    verdict = guarded.screen(LEAKS["AWS access key"], channel)
    assert "secrets" not in [alarm.behavior for alarm in verdict.alarms]


def test_text_without_a_credential_is_as_before(guarded: Firewall, firewall: Firewall) -> None:
    for text in ("What is the capital of France?", "Your key is AKIA, they said.", ""):
        assert guarded.screen(text, "tool") == firewall.screen(text, "tool")


def test_the_configuration_decides_what_an_alarm_does(installed: Path) -> None:
    for action, expected in (("block", Action.BLOCK), ("inform", Action.ALLOW)):
        config = FirewallConfig(plugins=("secrets",), behaviors={"secrets": {"action": action}})
        verdict = Firewall(config).screen(LEAKS["AWS access key"], "tool")
        assert verdict.action is expected
        assert "secrets" in [alarm.behavior for alarm in verdict.alarms]
    config = FirewallConfig(plugins=("secrets",), behaviors={"secrets": {"action": "off"}})
    assert Firewall(config).screen(LEAKS["AWS access key"], "tool").alarms == ()


def test_it_is_small() -> None:
    lines = [line for line in MODULE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 40


def test_an_installer_makes_the_same_of_it(tmp_path: Path) -> None:
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("needs uv")
    command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    made = subprocess.run([*command, "--target", str(tmp_path), str(EXAMPLE)], capture_output=True, text=True)
    if made.returncode and "hatchling" in made.stderr:
        pytest.skip("needs hatchling in uv's cache: this test uses no network")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / MODULE.name).read_bytes() == MODULE.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path)])
        found = [(point.name, point.value) for point in entry_points(group="alknet_firewall")]
    assert found == [("secrets", "alknet_firewall_secrets")]
