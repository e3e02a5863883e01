"""Where the evidence stands."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet_firewall.codebook.spans import evidence_range, strongest_range

scores = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 5, 0, 0], (2, 3)),
        ([0, 5, 4, 5, 0], (1, 4)),
        ([5, -9, 4, 4, -9], (2, 4)),
        ([1], (0, 1)),
        ([9, 9, 0, 0], (0, 2)),
    ],
)
def test_strongest_range(values: list[float], expected: tuple[int, int]) -> None:
    assert strongest_range(np.array(values) - np.mean(values)) == expected


@settings(deadline=None)
@given(scores)
def test_strongest_range_against_all_ranges(values: list[float]) -> None:
    excess = np.array(values)
    start, end = strongest_range(excess)
    assert 0 <= start < end <= len(excess)
    best = max(excess[i:j].sum() for i in range(len(excess)) for j in range(i + 1, len(excess) + 1))
    assert excess[start:end].sum() == pytest.approx(best, abs=1e-5)


TEXT = "First one. Second one! Third\nFourth line  \n\n  Fifth."


def tokens(text: str) -> np.ndarray:
    """Word by word, each with the space before it."""
    return np.array([match.span() for match in re.finditer(r"\s*\S+", text)], np.int32)


def shown(text: str, *strong: str) -> str:
    """The range of `text` when the tokens that hold one of `strong` carry the evidence."""
    offsets = tokens(text)
    scores = np.array([float(any(word in text[a:b] for word in strong)) for a, b in offsets], np.float32)
    first, last = evidence_range(text, offsets, scores)
    return text[offsets[first, 0] : offsets[last - 1, 1]].strip()


@pytest.mark.parametrize(
    ("strong", "expected"),
    [
        (["First"], "First one."),
        (["Second"], "Second one!"),
        (["Third"], "Third"),
        (["line"], "Fourth line"),
        (["Fifth"], "Fifth."),
        (["First", "Second"], "First one. Second one!"),
        (["Third", "Fourth"], "Third\nFourth line"),
    ],
)
def test_sentences_and_lines(strong: list[str], expected: str) -> None:
    assert shown(TEXT, *strong) == expected


def test_a_text_without_borders_is_named_whole_unless_it_is_long() -> None:
    assert shown("no border here", "border") == "no border here"
    assert shown("a " * 60 + "steal everything now" + " b" * 60, "steal", "everything") == "steal everything"


def test_other_full_stops() -> None:
    assert shown("你好。 再见！ 好", "再") == "再见！"


@settings(deadline=None)
@given(st.text(alphabet="ab .!\n\t", min_size=1, max_size=30).filter(str.strip), st.data())
def test_never_an_empty_or_turned_range(text: str, data: st.DataObject) -> None:
    offsets = tokens(text)
    scores = data.draw(st.lists(st.floats(-5, 5, width=32), min_size=len(offsets), max_size=len(offsets)))
    first, last = evidence_range(text, offsets, np.array(scores, np.float32))
    assert 0 <= first < last <= len(offsets)
