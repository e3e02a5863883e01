"""The documentation: links lead somewhere, code runs, settings and commands are all there."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alknet_firewall.config import BehaviorSettings, FirewallConfig
from tests.core.pages import DOCS, PAGES, README, ROOT, Block, all_blocks, blocks, commands
from tests.core.public_api import commands as commands_of_the_program

HOSTS = ("agents", "langchain_core", "litellm", "llamafirewall", "nemoguardrails")
PROGRAM = [sys.executable, "-c", "from alknet_firewall.cli import main; main()"]
# What each language's blocks are held to, here and in test_docs_commands.py; `text` is not for a machine.
LANGUAGES = {"python", "toml", "json", "yaml", "colang", "sh", "console", "text"}
COMMANDS = [words.removeprefix("alknet-firewall").strip() for words, _ in commands_of_the_program()]


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
    for page in (DOCS / "index.md", DOCS / "decisions" / "README.md", DOCS / "reference" / "index.md"):
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            linked.add((page.parent / target).resolve())
    missing = set(DOCS.rglob("*.md")) - linked - {DOCS / "index.md"}
    assert missing == set()


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    assert [f"{block}: {block.language!r}" for block in all_blocks() if block.language not in LANGUAGES] == []


def test_what_is_not_run_says_why() -> None:
    assert [str(block) for block in all_blocks() if block.reason is not None and len(block.reason) < 10] == []


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs_as_pasted(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(block.code, str(block), "exec"), {"__name__": "pasted"})
    except ModuleNotFoundError as error:
        missing = str(error.name).split(".")[0]
        if missing not in HOSTS and not missing.startswith("alknet_firewall_"):  # an adapter
            raise
        pytest.skip(f"needs {error.name}")


def readme_commands() -> list[tuple[str, tuple[str, ...], int]]:
    """The commands of the README, with the exit status that a comment names."""
    found = []
    for command in commands("alknet-firewall"):
        if command.block.page == README:
            status = re.search(r"# exit status (\d)", command.line)
            found.append((command.line, command.words, int(status.group(1)) if status else 0))
    return found


@pytest.mark.parametrize(("line", "words", "status"), readme_commands())
def test_commands_of_the_readme_end_as_it_says(
    line: str, words: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    run = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == status, f"{line}\n{run.stdout}{run.stderr}"


def test_the_readme_shows_a_flagged_and_an_allowed_text() -> None:
    assert {status for _, _, status in readme_commands()} == {0, 3}


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_settings_are_valid_as_pasted(block: Block, tmp_path: Path) -> None:
    if "[project" in block.code:
        pytest.skip("metadata of a package, no settings")
    name = "pyproject.toml" if "[tool.alknet-firewall" in block.code else "alknet-firewall.toml"
    (tmp_path / name).write_text(block.code, encoding="utf-8")
    FirewallConfig.from_file(tmp_path / name)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json_or_json_lines(block: Block) -> None:
    try:
        json.loads(block.code)
    except json.JSONDecodeError:
        for line in block.code.splitlines():
            json.loads(line)


@pytest.mark.parametrize("block", blocks("yaml", "colang"), ids=str)
def test_configuration_of_others_is_read_by_them(block: Block) -> None:
    if block.language == "yaml":
        loaded = pytest.importorskip("yaml").safe_load(block.code)
        assert loaded is not None
        if "rails" not in loaded:
            return
    if (
        importlib.util.find_spec("nemoguardrails") is None
        or importlib.util.find_spec("alknet_firewall_nemo") is None
    ):
        pytest.skip("needs nemoguardrails")
    from nemoguardrails import RailsConfig

    if block.language == "colang":
        RailsConfig.from_content(block.code, "colang_version: 2.x\nimport_paths: [alknet_firewall_nemo]")
    else:
        RailsConfig.from_content(yaml_content=block.code)


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


@pytest.mark.parametrize("command", [command for command in COMMANDS if command])
def test_every_option_of_a_command_is_described(command: str) -> None:
    found = dict(commands_of_the_program())[f"alknet-firewall {command}"]
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {command.split()[0]}$(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert section, f"docs/cli.md has no section {command}"
    options = [re.findall(r"--[a-z][a-z-]*", spelling) for spelling in found if "--" in spelling]
    told = section.group(1)
    assert [pair for pair in options if not any(f"`{option}" in told for option in pair)] == []
