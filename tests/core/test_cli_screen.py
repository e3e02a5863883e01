"""`alknet-firewall screen` and what all commands share: statuses, output that is safe for a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner, Result

from alknet_firewall.cli.app import app
from alknet_firewall.cli.render import bar, marked, percent, rate_in_words, shortened, visible

ATTACK = "zzzz zzzz zzzz zzzz zzzz"
BENIGN = "hello there"


def run(*arguments: object, stdin: str | bytes | None = None, columns: int = 80) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env=environment)


def test_exit_status_says_the_verdict(settings: Path) -> None:
    flagged, allowed = (
        run("screen", ATTACK, "--config", settings),
        run("screen", BENIGN, "--config", settings),
    )
    assert flagged.exit_code == 3, flagged.output
    assert "BLOCK" in flagged.stdout and "injection" in flagged.stdout and ATTACK in flagged.stdout
    assert allowed.exit_code == 0, allowed.output
    assert "ALLOW" in allowed.stdout and "benign user messages" in allowed.stdout


def test_json_is_the_verdict_on_one_line(settings: Path) -> None:
    found = run("screen", ATTACK, "--json", "--channel", "tool", "--config", settings)
    assert found.stdout.count("\n") == 1
    verdict = json.loads(found.stdout)
    assert verdict["action"] == "block" and verdict["channel"] == "tool"
    assert ATTACK not in found.stdout
    assert verdict["alarms"][0]["span"] == [0, len(ATTACK)]


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_text_from_standard_input(settings: Path, arguments: tuple[str, ...]) -> None:
    assert run("screen", *arguments, "--config", settings, stdin=ATTACK).exit_code == 3
    assert run("screen", *arguments, "--config", settings, stdin=BENIGN).exit_code == 0


def test_text_from_a_file_that_is_not_utf8(settings: Path, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(b"\xff\xfe\x00 " + ATTACK.encode() + b" \xc3")
    assert run("screen", "--file", file, "--config", settings).exit_code == 3
    assert run("screen", "-", "--config", settings, stdin=file.read_bytes()).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a", "--file", "b"), "not both"),
        (("a", "--json", "--explain"), "leave --explain out"),
        (("a", "--channel", "carrier-pigeon"), "carrier-pigeon"),
        (("a", "--nonsense"), "--nonsense"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], told: str) -> None:
    found = run("screen", *arguments)
    assert found.exit_code == 2 and told in found.stderr


def test_failures_are_one_clear_message(settings: Path, tmp_path: Path) -> None:
    missing = run("screen", "--file", tmp_path / "missing.txt")
    assert missing.exit_code == 1 and missing.stdout == ""
    assert re.fullmatch(
        r"error: .*missing\.txt: cannot be read \(No such file or directory\)\n", missing.stderr
    )
    (tmp_path / "codebook.safetensors").write_bytes(b"nonsense")
    damaged = run("screen", ATTACK, "--config", settings)
    assert damaged.exit_code == 1 and "codebook.safetensors" in damaged.stderr
    assert "Traceback" not in damaged.stderr and damaged.stderr.count("\n") == 1
    settings.write_text("max_tokenz = 3\n")
    assert "did you mean max_tokens?" in run("screen", ATTACK, "--config", settings).stderr


def test_explained_contributions_add_up(settings: Path) -> None:
    found = run("screen", ATTACK, "--explain", "--config", settings)
    assert f"▸{ATTACK}◂" in found.stdout
    section = found.stdout[found.stdout.index("tap 1") :]
    numbers = [float(value) for value in re.findall(r"[+-]\d+\.\d\d\b", section)]
    names = re.findall(r"(tap \d+|lexical|bias|evidence) ", section)
    assert names[:5] == ["tap 1", "tap 2", "lexical", "bias", "evidence"]
    assert sum(numbers[:4]) == pytest.approx(numbers[4], abs=0.03)


def test_text_without_alarm_is_explained_too(settings: Path) -> None:
    found = run("screen", BENIGN, "--explain", "--config", settings)
    assert found.exit_code == 0
    assert "under every threshold" in found.stdout and found.stdout.count("evidence  ") == 1
    assert run("screen", "", "--explain", "--config", settings).exit_code == 0


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_lines_fit_the_terminal(settings: Path, columns: int) -> None:
    text = "word " * 300 + ATTACK * 5 + " more words" * 100
    found = run("screen", text, "--explain", "--config", settings, columns=columns)
    assert max(map(len, found.stdout.splitlines())) <= columns
    assert "…" in found.stdout and len(found.stdout) < 40 * 130


HOSTILE = (
    f"{ATTACK}\x1b]0;title\x07\x1b[2J\x9b1m\u202e\r\x08[bold red]markup[/]:smile:\u200b\x00\udcff{ATTACK}"
)


def test_nothing_in_the_text_steers_the_terminal(settings: Path) -> None:
    found = run("screen", HOSTILE, "--explain", "--config", settings, columns=200)
    assert found.exit_code == 3, found.stderr
    assert not any(unicodedata.category(c)[0] == "C" for c in found.stdout.replace("\n", ""))
    assert "[bold red]markup[/]:smile:" in found.stdout and "␛]0;title␇" in found.stdout
    assert "<U+202E>" in found.stdout and "<U+009B>" in found.stdout


def test_a_hostile_file_name_does_not_either() -> None:
    found = run("screen", "--file", "no\x1b[2Jfile")
    assert found.exit_code == 1 and "\x1b" not in found.stderr


@given(st.text(st.characters(), max_size=60), st.booleans())
def test_visible_text_has_no_control_characters(text: str, keep_lines: bool) -> None:
    shown = visible(text, keep_lines=keep_lines)
    allowed = "\n\t" if keep_lines else ""
    assert not any(unicodedata.category(c)[0] == "C" and c not in allowed for c in shown)
    shown.encode()  # no lone surrogate is left
    assert visible("plain text, ünïcödé 中文 🙂") == "plain text, ünïcödé 中文 🙂"


@given(st.text("ab \n", min_size=1, max_size=900), st.data())
def test_marking_keeps_spans_and_surroundings(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    shown = marked(text, [(start, end)], around=20, longest=2000).plain
    assert f"{text[max(0, start - 20) : start]}▸{text[start:end]}◂{text[end : end + 20]}" in shown
    assert len(shown) <= 40 + 2 + 2 * 3 + end - start


def test_marking_of_several_spans() -> None:
    shown = marked("abcdefghij" * 10, [(50, 60), (5, 8), (7, 10)], around=10).plain
    assert shown == "abcde▸fghij◂abcdefghij … abcdefghij▸abcdefghij◂abcdefghij … "
    assert marked("short", []).plain == "short"


def test_small_forms() -> None:
    assert rate_in_words(0.001, "document") == "1 in 1,000 benign documents scores this high"
    assert rate_in_words(0.5, "tool") == "50% of benign tool results score this high"
    assert rate_in_words(1.0, "user") == "all benign user messages score this high"
    assert [percent(share) for share in (0, 0.004, 0.0994, 0.0996, 1)] == [
        "0.0 %",
        "0.4 %",
        "9.9 %",
        "10 %",
        "100 %",
    ]
    assert shortened("x" * 50, 50) == "x" * 50 and len(shortened("x" * 51, 50)) == 50
    assert bar(2, 4, 4).plain == "    │██  " and bar(-4, 4, 4).plain == "████│    "
    assert bar(0, 0, 2).plain == "  │  "
    console = Console(width=20, markup=False)
    with console.capture() as capture:
        console.print(Text("[red]x"))
    assert capture.get() == "[red]x\n"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from alknet_firewall.cli.app import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'onnxruntime', 'pydantic', 'torch', 'scipy', 'tokenizers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("screen", "evaluate", "compare", "calibrate", "drift", "compile", "inspect", "doctor", "weights"):
        assert name in done.stdout


def test_a_verdict_prints_where_the_terminal_is_not_utf8(settings: Path) -> None:
    code = "from alknet_firewall.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "screen", f"{ATTACK} 中文", "--config", str(settings)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 3, done.stderr
    assert b"BLOCK" in done.stdout
