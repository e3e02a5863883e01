"""Excerpts of benign documents: short, new, in both channels, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from alknet_firewall.compile.generators import composed_rows
from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.generators.excerpts import generate
from alknet_firewall.compile.rows import Row

TEXT = " ".join(f"Sentence number {i} of a quiet document." for i in range(40))
ROWS = [Row(TEXT, "benign", "manuals", "document", gid="manual 1", lang="en")]


def test_excerpts() -> None:
    rows = list(generate(Pool(ROWS), np.random.default_rng(0), 50))
    assert len({row.text for row in rows}) == 50
    assert {(row.label, row.channel, row.gid) for row in rows} == {
        ("benign", "document", "manual 1"),
        ("benign", "tool", "manual 1"),
    }
    for row in rows:
        assert row.text in TEXT and 1 <= row.text.count(".") <= 3
    assert rows == list(generate(Pool(ROWS), np.random.default_rng(0), 50))


def test_a_pool_without_documents_or_without_new_ones() -> None:
    with pytest.raises(LookupError, match="document"):
        list(generate(Pool([]), np.random.default_rng(0), 1))
    with pytest.raises(LookupError, match="no further excerpts"):
        list(generate(Pool([Row("One single sentence.", "benign", "s", "document")]), np.random.default_rng(0), 2))


def test_composed_rows_say_what_they_borrowed() -> None:
    rows = composed_rows(ROWS, {"excerpts": 6}, seed=0)
    assert len(rows) == 6 and {row.borrowed for row in rows} == {("manuals",)}
