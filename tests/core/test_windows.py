"""Windows and slices: everything covered, bounded pieces, stable when text is appended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet_firewall.text.windows import slices, window_bounds

SHAPES = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))
TEXTS = st.text(st.sampled_from("ab \n\t\u00e9\U0001f600"), max_size=200)


@given(st.integers(0, 400), SHAPES)
def test_windows_cover_every_token_on_a_fixed_grid(n_tokens: int, shape: tuple[int, int]) -> None:
    size, overlap = shape
    bounds = window_bounds(n_tokens, size, overlap)
    assert {t for start, end in bounds for t in range(start, end)} == set(range(n_tokens))
    assert [start for start, _ in bounds] == [k * (size - overlap) for k in range(len(bounds))]
    assert all(end - start == size for start, end in bounds[:-1])
    if len(bounds) > 1:
        assert overlap < bounds[-1][1] - bounds[-1][0] <= size


@given(st.integers(0, 300), st.integers(0, 100), SHAPES)
def test_windows_but_the_last_stay_when_tokens_are_appended(
    n_tokens: int, more: int, shape: tuple[int, int]
) -> None:
    before = window_bounds(n_tokens, *shape)
    after = window_bounds(n_tokens + more, *shape)
    assert after[: max(len(before) - 1, 0)] == before[:-1]


@pytest.mark.parametrize(
    ("n_tokens", "size", "overlap", "expected"),
    [
        (0, 8, 2, []),
        (1, 8, 2, [(0, 1)]),
        (8, 8, 2, [(0, 8)]),
        (9, 8, 2, [(0, 8), (6, 9)]),
        (14, 8, 2, [(0, 8), (6, 14)]),
        (15, 8, 2, [(0, 8), (6, 14), (12, 15)]),
        (4, 2, 0, [(0, 2), (2, 4)]),
        (3, 1, 0, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_windows(n_tokens: int, size: int, overlap: int, expected: list[tuple[int, int]]) -> None:
    assert window_bounds(n_tokens, size, overlap) == expected


@pytest.mark.parametrize(("n_tokens", "size", "overlap"), [(-1, 8, 2), (5, 0, 0), (5, 8, 8), (5, 8, -1)])
def test_windows_refuse_a_bad_shape(n_tokens: int, size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="must"):
        window_bounds(n_tokens, size, overlap)


@given(TEXTS, st.integers(1, 50))
def test_slices_join_to_the_text_and_are_bounded(text: str, max_chars: int) -> None:
    pieces = list(slices(text, max_chars))
    assert "".join(text[start:end] for start, end in pieces) == text
    assert [start for start, _ in pieces[1:]] == [end for _, end in pieces[:-1]]
    assert all(0 < end - start <= max_chars for start, end in pieces)
    assert all(end - start >= max_chars - max_chars // 4 for start, end in pieces[:-1])


@given(TEXTS, TEXTS, st.integers(1, 50))
def test_slices_but_the_last_stay_when_text_is_appended(text: str, more: str, max_chars: int) -> None:
    before = list(slices(text, max_chars))
    after = list(slices(text + more, max_chars))
    assert after[: max(len(before) - 1, 0)] == before[:-1]


@pytest.mark.parametrize(
    ("text", "max_chars", "pieces"),
    [
        ("", 4, []),
        ("abcd", 4, ["abcd"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("abcdefg hijk", 8, ["abcdefg", " hijk"]),
        ("abcdefgh ijk", 8, ["abcdefgh", " ijk"]),
        ("a cdefghijkl", 8, ["a cdefgh", "ijkl"]),
        ("abcdef\n hij klm", 8, ["abcdef\n", " hij klm"]),
        ("ab", 1, ["a", "b"]),
    ],
)
def test_slices(text: str, max_chars: int, pieces: list[str]) -> None:
    assert [text[start:end] for start, end in slices(text, max_chars)] == pieces


def test_slices_refuse_a_size_of_zero_at_once() -> None:
    with pytest.raises(ValueError, match="max_chars"):
        slices("abc", 0)
