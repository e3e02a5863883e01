"""The shape of the packages: which room may import which, and what an import must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import alknet_firewall

ROOT = Path(__file__).parents[2]
CORE = ROOT / "packages" / "core" / "src" / "alknet_firewall"
ADAPTERS = sorted(ROOT.glob("packages/adapter-*"))

LONGEST = 400  # lines
HEAVY = (
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pydantic",
    "scipy",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
)


def _loaded_by(statement: str) -> set[str]:
    """Names of all modules loaded after `statement` in a fresh interpreter."""
    script = f"import sys; {statement}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import alknet_firewall", "from alknet_firewall import Action, Alarm, Span, Verdict"],
)
def test_import_loads_nothing_heavy(statement: str) -> None:
    loaded = _loaded_by(statement)
    assert "alknet_firewall" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_engine_loads_without_torch() -> None:
    loaded = _loaded_by("from alknet_firewall import Firewall, FirewallConfig; Firewall(FirewallConfig())")
    assert "alknet_firewall.firewall" in loaded
    assert loaded.isdisjoint({"torch", "transformers", "scipy", "sklearn"})


def test_dependencies_point_one_way() -> None:
    """The contracts stand in pyproject.toml under [tool.importlinter]."""
    pytest.importorskip("importlinter")
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    arguments = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert "3 kept, 0 broken" in ran.stdout


def test_no_file_is_over_400_lines() -> None:
    """What is longer has more than one idea in it; lists of phrases are data."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    files = [ROOT / name for name in listed.stdout.splitlines()] or [
        *ROOT.glob("packages/*/src/**/*.py"),
        *ROOT.glob("tests/**/*.py"),
    ]
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files if file.is_file()}
    long = {str(file.relative_to(ROOT)): length for file, length in lengths.items() if length > LONGEST}
    assert len(lengths) > 100 and long == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Rooms are kept apart by the contracts; here single modules, as they are imported when one is loaded."""
    graphs = pytest.importorskip("grimp")
    graph = graphs.build_graph("alknet_firewall", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    in_circles = {module for module in imports if module in _reached(imports[module], imports)}
    assert in_circles == set()


def _reached(start: set[str], imports: dict[str, set[str]]) -> set[str]:
    """What is imported from these modules on, at any remove."""
    reached, waiting = set(start), list(start)
    while waiting:
        new = imports.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("Where do I add a behavior?", "docs/plugins.md"),
        ("Where is the threshold decided?", "packages/core/src/alknet_firewall/codebook/compose.py"),
    ],
)
def test_a_newcomers_question_is_answered(question: str, place: str) -> None:
    rows = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    (row,) = [row for row in rows if question in row]
    assert f"]({place})" in row
    assert (ROOT / place).is_file()


def test_adapters_are_found() -> None:
    assert {folder.name for folder in ADAPTERS} == {
        "adapter-langchain",
        "adapter-litellm",
        "adapter-llamafirewall",
        "adapter-nemo",
        "adapter-openai-agents",
    }


@pytest.mark.parametrize("folder", ADAPTERS, ids=lambda folder: folder.name)
def test_adapters_import_only_public_names(folder: Path) -> None:
    sources = sorted(folder.glob("src/**/*.py"))
    assert sources, f"{folder.name} holds no Python"
    for source in sources:
        for module, name in _core_imports(source):
            where = f"{source.relative_to(ROOT)} imports {name or 'all'} from {module}"
            assert module == "alknet_firewall", where
            assert name is None or name in alknet_firewall.__all__, where


def _core_imports(source: Path) -> Iterator[tuple[str, str | None]]:
    """Every import from the core in a file: the module, and the name taken from it (None: the module itself)."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (
                (alias.name, None) for alias in node.names if alias.name.split(".")[0] == "alknet_firewall"
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "alknet_firewall":
            yield from ((str(node.module), alias.name) for alias in node.names)


@pytest.mark.parametrize("folder", sorted(ROOT.glob("packages/*")), ids=lambda folder: folder.name)
def test_every_package_carries_the_licence_and_its_types(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert list(folder.glob("src/*/py.typed")), "no py.typed: its types are lost to users"
    assert (folder / "README.md").is_file()
