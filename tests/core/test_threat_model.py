"""The threat model promises nothing without a test, and names only tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
PROMISES = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE.partition("## What we promise")[2], re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda each: each)
def test_a_named_test_exists(file: str, name: str) -> None:
    path = ROOT / file
    assert path.is_file()
    functions = {
        node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
    }
    assert name in functions


def test_every_promise_names_its_proof() -> None:
    rows = [(promise, proof) for promise, proof in PROMISES if promise not in ("promise", "---")]
    assert len(rows) > 20
    for promise, proof in rows:
        assert re.search(r"`tests/[\w/]+\.py::\w+`|\(fault-matrix\.md\)", proof), promise


def test_what_others_link_to_is_there() -> None:
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/threat-model.md" in security and "docs/fault-matrix.md" in security
