"""The documentation: links lead somewhere, code runs, settings and commands are all there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alknet_firewall.config import BehaviorSettings, FirewallConfig

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    }
)
HOSTS = ("agents", "llamafirewall", "nemoguardrails")
COMMANDS = (
    "screen",
    "evaluate",
    "compare",
    "calibrate",
    "drift",
    "compile",
    "inspect",
    "doctor",
    "weights path",
    "weights fetch",
    "states",
    "sae train",
    "sae info",
    "sae top",
    "sae codebook",
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str, pages: list[Path] | None = None) -> Iterator[Block]:
    for page in pages or [README, *sorted(DOCS.rglob("*.md"))]:
        content = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w+)\n(.*?)^```", content, re.DOTALL | re.MULTILINE):
            if match.group(1) in languages:
                yield Block(page, content.count("\n", 0, match.start()) + 1, match.group(1), match.group(2))


def commands() -> Iterator[tuple[str, int]]:
    """The `alknet-firewall` lines of the README, with the exit status that a comment names."""
    for block in blocks("console", "sh", pages=[README]):
        for line in block.code.splitlines():
            command = line.removeprefix("$ ").strip()
            if command.startswith("alknet-firewall "):
                status = re.search(r"# exit status (\d)", command)
                yield command, int(status.group(1)) if status else 0


def without_code(content: str) -> str:
    content = re.sub(r"^```.*?^```", "", content, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", content)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    content = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", content, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def test_every_page_is_in_the_table_of_contents() -> None:
    linked = set()
    for page in (DOCS / "index.md", DOCS / "decisions" / "README.md"):
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            linked.add((page.parent / target).resolve())
    missing = set(DOCS.rglob("*.md")) - linked - {DOCS / "index.md"}
    assert missing == set()


@pytest.mark.parametrize("block", list(blocks("python")), ids=str)
def test_python_runs_as_pasted(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(block.code, str(block), "exec"), {"__name__": "pasted"})
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] not in HOSTS:
            raise
        pytest.skip(f"needs {error.name}")


@pytest.mark.parametrize(("command", "status"), list(commands()))
def test_commands_of_the_readme_end_as_it_says(command: str, status: int, tmp_path: Path) -> None:
    program = "from alknet_firewall.cli import main; main()"
    arguments = shlex.split(command, comments=True)[1:]
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == status, run.stdout + run.stderr


def test_the_readme_shows_a_flagged_and_an_allowed_text() -> None:
    assert {status for _, status in commands()} == {0, 3}


@pytest.mark.parametrize("block", list(blocks("toml")), ids=str)
def test_settings_are_valid_as_pasted(block: Block, tmp_path: Path) -> None:
    if "[project" in block.code:
        pytest.skip("metadata of a package, no settings")
    name = "pyproject.toml" if "[tool.alknet-firewall" in block.code else "alknet-firewall.toml"
    (tmp_path / name).write_text(block.code, encoding="utf-8")
    FirewallConfig.from_file(tmp_path / name)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_included_files_are_up_to_date(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    for name, code in re.findall(
        r"<!-- include: (.+?) -->\n```\w+\n(.*?)^```\n", content, re.DOTALL | re.MULTILINE
    ):
        assert code == (DOCS / name).read_text(encoding="utf-8"), "run: python docs/figures/make.py"


def test_every_setting_is_described_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \|", (DOCS / "configuration.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    described = dict(rows)
    for model in (FirewallConfig, BehaviorSettings):
        for name, setting in model.model_fields.items():
            default = setting.default
            if isinstance(default, dict):
                shown = "empty"
            elif default is None or isinstance(default, bool):
                shown = str(default).lower()
            else:
                shown = f'"{default}"' if isinstance(default, str) else str(default)
            assert described.get(name, "").strip("`") == shown, name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_described(command: str) -> None:
    program = "from alknet_firewall.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", program, *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {command.split()[0]}$(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert section, f"docs/cli.md has no section {command}"
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", run.stdout)) - {"--help", "--no-explain"}
    assert {option for option in options if f"`{option}" not in section.group(1)} == set()
