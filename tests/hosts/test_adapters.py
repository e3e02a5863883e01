"""Adapters are thin, and know the firewall by its public names alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import alknet_firewall

PACKAGES = sorted((Path(__file__).parents[2] / "packages").glob("adapter-*"))
MOST_LINES = 100
HOSTS = {
    "nemo": "nemoguardrails",
    "openai-agents": "agents",
    "llamafirewall": "llamafirewall",
    "langchain": "langchain_core",
    "litellm": "litellm",
}
"""Entry points of the adapters, with the module of the host."""


def _code_lines(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    lines = path.read_text().splitlines()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_thin(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {path.name: _code_lines(path) for path in sorted(package.rglob("src/**/*.py"))}
    with capsys.disabled():
        print(
            f"\n{package.name}: {sum(lines.values())} lines ({', '.join(f'{k} {v}' for k, v in lines.items())})"
        )
    assert 0 < sum(lines.values()) < MOST_LINES


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_public_names_only(package: Path) -> None:
    for path in package.rglob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                inner = [alias.name for alias in node.names if alias.name.startswith("alknet_firewall.")]
                assert not inner, path
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "core"  # import alknet_firewall as core
            ):
                assert node.attr in alknet_firewall.__all__, path
            elif (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").partition(".")[0] == "alknet_firewall"
            ):
                assert node.module == "alknet_firewall", path
                assert {alias.name for alias in node.names} <= set(alknet_firewall.__all__), path


@pytest.mark.parametrize("name", HOSTS)
def test_discovery_imports_no_host(name: str) -> None:
    if not any(entry.name == name for entry in entry_points(group="alknet_firewall")):
        pytest.skip(f"the adapter {name} is not installed")
    code = (
        "import sys; from alknet_firewall.plugins import load_plugins\n"
        f"found = load_plugins([{name!r}])\n"
        f"print(sorted(found.hosts), found.broken, {HOSTS[name]!r} in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"[{name!r}] {{}} False"
