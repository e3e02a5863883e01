"""The program around the commands: `--version` and what a shell completes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alknet_firewall import __version__
from alknet_firewall.cli.app import app
from alknet_firewall.codebook.codebook import codebook_bytes, load_codebook

PROGRAM = [sys.executable, "-c", "from alknet_firewall.cli import main; main()"]


def version(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: str) -> list[str]:
    monkeypatch.chdir(folder)
    for name, value in settings.items():
        monkeypatch.setenv(f"ALKNET_FIREWALL_{name.upper()}", value)
    ran = CliRunner().invoke(app, ["--version"])
    assert ran.exit_code == 0, ran.output
    return ran.stdout.splitlines()


def test_version_names_the_bundled_codebook_and_its_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = version(monkeypatch, tmp_path)
    assert told[0] == f"alknet-firewall {__version__}"
    assert told[1] == f"codebook bundled, {hashlib.sha256(codebook_bytes(None)).hexdigest()[:12]}"
    made_for = told[2].removeprefix("made for detector ")[:12]
    assert told[3] == f"weights here make detector {made_for}, the same"


def test_version_tells_of_the_configured_codebook(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codebook = settings.with_name("codebook.safetensors")
    told = version(monkeypatch, settings.parent, codebook=codebook.name)
    fingerprint = load_codebook(codebook).fingerprint[:12]
    assert told[1].startswith("codebook codebook.safetensors, ")
    assert told[2] == f"made for detector {fingerprint}, a tiny random Llama"
    assert told[3].endswith(", ANOTHER ONE")  # the default weights are not the tiny model


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("codebook", "missing.safetensors", "codebook: missing.safetensors: cannot be read"),
        ("weights", "missing.gguf", "weights: missing.gguf: no such file or folder"),
        ("weights", f"hub:owner/name@{'0' * 40}", "weights hub:owner/name@"),
        ("max_tokens", "many", "settings: environment variable ALKNET_FIREWALL_MAX_TOKENS"),
    ],
)
def test_version_says_what_it_cannot_tell(
    setting: str, value: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = version(monkeypatch, tmp_path, **{setting: value})
    assert told[0] == f"alknet-firewall {__version__}"
    assert told[-1].startswith(line)


def completed(words: str, count: int) -> list[str]:
    """What bash would offer for the last word."""
    environment = {
        **os.environ,
        "_ALKNET_FIREWALL_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(count),
    }
    ran = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    return ran.stdout.split()


def test_a_shell_completes_commands_options_and_choices() -> None:
    assert completed("alknet-firewall insp", 1) == ["inspect"]
    assert "--channel" in completed("alknet-firewall screen --ch", 2)
    assert completed("alknet-firewall screen --channel ", 3) == ["user", "document", "tool", "response"]
    assert {"fetch", "path"} <= set(completed("alknet-firewall weights ", 2))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell: str) -> None:
    environment = {**os.environ, "_ALKNET_FIREWALL_COMPLETE": f"source_{shell}"}
    ran = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    assert "alknet-firewall" in ran.stdout
    assert f"complete_{shell}" in ran.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_installed_script(tmp_path: Path) -> None:
    program = tmp_path / "alknet-firewall"
    program.write_text(f"#!{sys.executable}\n{PROGRAM[-1]}\n", encoding="utf-8")
    program.chmod(0o755)
    typed = (
        'eval "$(_ALKNET_FIREWALL_COMPLETE=source_bash alknet-firewall)"; '
        "COMP_WORDS=(alknet-firewall ins); COMP_CWORD=1; "
        '_alknet_firewall_completion alknet-firewall; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-c", typed], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "inspect", ran.stderr
