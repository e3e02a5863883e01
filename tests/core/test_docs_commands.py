"""Commands in the documentation: all are understood by the program, and those that end by themselves are run.

They run page by page, in the order in which they stand there, on a tiny detector and in a folder that holds the files
which the pages speak of. Not run but only parsed: what trains, serves or watches, and what needs a model of the
reader's; each of those commands has tests of its own.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from alknet_firewall.cli.app import app
from tests.conftest import TinyModel
from tests.core.pages import ROOT, Command, commands

RUN = ("screen", "inspect", "calibrate", "drift", "evaluate", "compare", "weights path", "--version")
PEERS = {"keywords"}  # the others take long, or are packages or models of others; test_peers.py runs them
ENDS_WELL = {0, 3}
OURS = list(commands("alknet-firewall"))
PAGES_WITH_COMMANDS = sorted({command.block.page for command in OURS})


def parsed(words: tuple[str, ...]) -> None:
    """Reads the words as the program does, without doing anything.

    Raises:
        Exception: What the program would answer to them as wrong usage.
    """
    command, rest = get_command(app), list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
    if rest[:1] != ["--version"]:
        command.make_context("alknet-firewall", rest)


def is_run(command: Command) -> bool:
    words = " ".join(command.words)
    if not words.startswith(RUN):
        return False
    against = re.search(r"--against (\S+)", words)
    return against is None or set(against.group(1).split(",")) <= PEERS


@pytest.fixture
def folder(settings: Path, tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a reader who has what the pages speak of."""
    codebook = settings.with_name("codebook.safetensors")
    here = tmp_path / "here"
    here.mkdir()
    rows = [
        {
            "text": f"zzzz zzzz {i}" if i % 2 else f"good morning {i}",
            "label": "injection" if i % 2 else "benign",
        }
        for i in range(60)
    ]
    lines = "".join(
        json.dumps({**row, "channel": "user", "source": f"{row['label']}-{i % 3}"}) + "\n"
        for i, row in enumerate(rows)
    )
    for name in ("labelled", "other-labelled", "held_out"):
        (here / name).mkdir()
        (here / name / "rows.jsonl").write_text(lines, encoding="utf-8")
    texts = "".join(
        json.dumps({"text": f"a text with {i} in it", "channel": "user"}) + "\n" for i in range(600)
    )
    for name in ("traffic.jsonl", "recent.jsonl"):
        (here / name).write_text(texts, encoding="utf-8")
    (here / "report.txt").write_text("Nothing new.", encoding="utf-8")
    for name in ("own.safetensors", "ours.safetensors", "mine.safetensors"):
        shutil.copy(codebook, here / name)
    monkeypatch.chdir(here)
    monkeypatch.setenv("ALKNET_FIREWALL_WEIGHTS", str(tiny.path))
    monkeypatch.setenv("ALKNET_FIREWALL_CODEBOOK", str(codebook))
    return here


@pytest.mark.parametrize("command", OURS, ids=str)
def test_the_program_understands(command: Command) -> None:
    parsed(command.words)


def test_nonsense_is_not_understood() -> None:
    with pytest.raises(Exception, match="no-such-option"):
        parsed(("screen", "--no-such-option"))


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    ours = [command for command in OURS if command.block.page == page and is_run(command)]
    if not ours:
        pytest.skip("all of them train, serve, or need something of the reader's")
    for command in ours:
        ran = CliRunner().invoke(app, list(command.words), input="a text", env=dict(command.environment))
        assert ran.exit_code in ENDS_WELL, f"{command}\n{ran.output}\n{ran.exception}"


@pytest.mark.parametrize("command", list(commands("make")), ids=str)
def test_make_knows(command: Command) -> None:
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    target = next(word for word in command.words if "=" not in word)
    assert target in targets or re.sub(r"-.*", "-%", target) in targets
