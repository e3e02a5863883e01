"""Where the evidence stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet_firewall.codebook.spans import sentence_range, strongest_range

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
    assert strongest_range(np.array(values, np.float32)) == expected


@settings(deadline=None)
@given(scores)
def test_strongest_range_against_all_ranges(values: list[float]) -> None:
    array = np.array(values, np.float32)
    start, end = strongest_range(array)
    assert 0 <= start < end <= len(array)
    excess = array.astype(np.float64) - array.mean()
    best = max(excess[i:j].sum() for i in range(len(array)) for j in range(i + 1, len(array) + 1))
    assert excess[start:end].sum() == pytest.approx(best, abs=1e-5)


TEXT = "First one. Second one! Third\nFourth line  \n\n  Fifth."


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("irst", "First one."),
        ("cond", "Second one!"),
        ("hird", "Third"),
        ("line", "Fourth line"),
        ("Fifth", "Fifth."),
        ("one. Second", "First one. Second one!"),
        ("Third\nFour", "Third\nFourth line"),
    ],
)
def test_sentences_and_lines(word: str, expected: str) -> None:
    at = TEXT.index(word)
    start, end = sentence_range(TEXT, at, at + len(word))
    assert TEXT[start:end] == expected


def test_a_text_without_borders() -> None:
    assert sentence_range("no border here", 3, 5) == (0, 14)


def test_other_full_stops() -> None:
    text = "你好。 再见！ 好"
    start, end = sentence_range(text, 4, 5)
    assert text[start:end] == "再见！"


@settings(deadline=None)
@given(st.text(alphabet="ab .!\n\t", min_size=1, max_size=30), st.data())
def test_never_an_empty_or_turned_range(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = sentence_range(text, start, end)
    assert 0 <= first < last <= len(text)
