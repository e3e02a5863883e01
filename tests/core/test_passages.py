"""From text to windows: every token in one, every token with its place in the text as given."""

from __future__ import annotations

import base64
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.passages import Piece, pieces
from alknet_firewall.text.decode import decoded_views
from alknet_firewall.text.normalise import normalise

SIZE, OVERLAP = 48, 16
STRIDE = SIZE - OVERLAP
WORDS = "The quick brown fox jumps over the lazy dog, and then 12 more things happen; nobody knows why. "
MIXED = "Ｆｕｌｌ ｗｉｄｔｈ, e\u0301te\u0301, \u200bzero\u200d width, \U000e0041\U000e0042 tags, ﬁne ½, 日本語, 🙂👩‍👧, \u202eabc\u202c\r\nend. "


def cut(text: str, tokenizer: Tokenizer, size: int = SIZE, overlap: int = OVERLAP) -> list[Piece]:
    return list(pieces(text, tokenizer, size, overlap))


def same(one: Piece, other: Piece) -> bool:
    arrays = zip((one.ids, one.offsets, one.origin), (other.ids, other.offsets, other.origin))
    return one.text == other.text and all(np.array_equal(a, b) for a, b in arrays)


def test_nothing() -> None:
    # Neither has a token, whatever the tokenizer.
    for text in ("", "\u200b\u2060\ufeff\u202e"):
        assert list(pieces(text, _Unused(), SIZE, OVERLAP)) == []  # type: ignore[arg-type]


class _Unused:
    def encode(self, text: str) -> object:
        from alknet_firewall.detector.tokenizer import Encoding

        assert text == ""
        return Encoding(np.empty(0, np.int32), np.empty((0, 2), np.int32))


@pytest.mark.parametrize("text", [WORDS * 20, MIXED * 20, "short", " ", "\n\n", "word " * 14_000])
def test_windows_lie_on_the_grid_and_hold_all_tokens(text: str, tokenizer: Tokenizer) -> None:
    found = cut(text, tokenizer)
    assert all(len(piece.ids) == SIZE for piece in found[:-1]) and 0 < len(found[-1].ids) <= SIZE
    assert all(
        (one.ids[STRIDE:] == two.ids[: SIZE - STRIDE][: len(two.ids)]).all()
        for one, two in zip(found[:-1], found[1:-1])
    )
    joined = np.concatenate([found[0].ids, *(piece.ids[OVERLAP:] for piece in found[1:])])
    if len(text) < 60_000:
        np.testing.assert_array_equal(joined, tokenizer.encode(normalise(text).text).ids)
    else:
        assert tokenizer.decode(joined.tolist()) == text


@pytest.mark.parametrize("text", [WORDS * 20, MIXED * 20, "word " * 14_000])
def test_offsets_point_into_the_piece(text: str, tokenizer: Tokenizer) -> None:
    for piece in cut(text, tokenizer):
        assert piece.offsets.shape == piece.origin.shape == (len(piece.ids), 2)
        assert piece.offsets[0, 0] == 0 and piece.offsets[-1, 1] == len(piece.text)
        again = tokenizer.encode(piece.text[: piece.offsets[0, 1]]).ids
        assert piece.ids[0] in again  # the first token is the text that its offsets say


def test_origin_of_ascii(tokenizer: Tokenizer) -> None:
    text = WORDS * 1400  # more than two slices
    for piece in cut(text, tokenizer)[::97]:
        for (start, end), (first, last) in zip(piece.offsets, piece.origin):
            assert text[first:last] == piece.text[start:end]
        assert text[piece.origin[0, 0] : piece.origin[-1, 1]] == piece.text


def test_origin_of_mixed_unicode(tokenizer: Tokenizer) -> None:
    text = MIXED * 950  # more than one slice
    assert len(text) > 65_536
    last = 0
    for piece in cut(text, tokenizer)[::50]:
        assert (np.diff(piece.origin, axis=0) >= 0).all() and piece.origin[0, 0] >= last
        last = int(piece.origin[0, 0])
        for (start, end), (first, stop) in zip(piece.offsets, piece.origin):
            # The original range, brought into plain form, holds what the token says; it may hold more (a whole ligature).
            assert piece.text[start:end].strip() in normalise(text[first:stop]).text


def test_the_origin_leaves_no_gap(tokenizer: Tokenizer) -> None:
    for text in (WORDS * 5, MIXED * 5, "a\u200b\u200bb c\u0301\u0301 \U000e0041"):
        covered = np.zeros(len(text), bool)
        for piece in cut(text, tokenizer):
            for first, last in piece.origin:
                covered[first:last] = True
        assert covered.all()


@pytest.mark.parametrize("text", [WORDS, MIXED, "no-space" * 5 + "\n"])
def test_more_text_changes_no_earlier_window(text: str, tokenizer: Tokenizer) -> None:
    for repeats in (5, 40, 70_000 // len(text)):
        short, long = cut(text * repeats, tokenizer), cut(text * (repeats + 30) + "and an end", tokenizer)
        settled = len(text) * (repeats - 1)  # the last words may be tokenized anew
        before = [piece for piece in short if piece.origin[-1, 1] <= settled]
        assert len(before) >= len(short) - 4
        assert all(same(one, other) for one, other in zip(before, long))


def test_one_character_a_million_times(tokenizer: Tokenizer) -> None:
    for character in "a\u0301\u200b\ud800":
        found = cut(character * 1_000_000, tokenizer)
        assert sum(len(piece.ids) for piece in found) < 20_000
        assert all(piece.origin.max() <= 1_000_000 for piece in found)


def test_memory_is_flat_on_long_text(tokenizer: Tokenizer) -> None:
    def peak(text: str) -> int:
        tracemalloc.start()
        try:
            windows = sum(1 for _ in pieces(text, tokenizer, 192, 32))
            assert windows > len(text) / 6 / 192
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(WORDS * 1_500), peak(WORDS * 6_000)
    assert large < 1.2 * small + (1 << 20) < 100 << 20


def test_ten_megabytes_are_read_as_far_as_asked(tokenizer: Tokenizer) -> None:
    text = WORDS * (10_000_000 // len(WORDS))
    tracemalloc.start()
    found = list(islice(pieces(text, tokenizer, 192, 32), 200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 200 and peak < 50 << 20


def test_what_is_in_disguise_is_read_in_its_view_alone(tokenizer: Tokenizer) -> None:
    plain = "Please bring the blue folder to the meeting on Monday and water the plants"
    spaced = "   ".join(" ".join(word) for word in plain.split())
    texts = (spaced, f"{plain}. " * 5 + spaced)
    whole, part = (list(pieces(text, tokenizer, 192, 32)) for text in texts)
    assert [(piece.decoded, piece.replaced) for piece in whole if not piece.replaced] == [("spaced", False)]
    assert any(piece.replaced for piece in whole) and plain in next(p.text for p in whole if p.decoded)
    assert any(not piece.replaced for piece in part if not piece.decoded)  # what is in plain sight for the most part


def test_a_window_stays_where_the_view_has_not_all_of_it(tokenizer: Tokenizer) -> None:
    hidden = base64.b64encode(b"The meeting on Monday is about the blue folder and about the plants. " * 3).decode()
    far = "Anna waters them every week and Ben brings a chair. " * 9  # further away than a view reaches
    for text, stays in ((far + hidden, True), (far[:100] + hidden, False)):
        view, *windows = pieces(text, tokenizer, 300, 32)
        assert view.decoded and all(piece.replaced != stays for piece in windows[:1])


def test_views_come_before_the_windows_of_their_slice(tokenizer: Tokenizer) -> None:
    text = base64.b64encode(b"The meeting on Monday is about the blue folder and the plants.").decode()
    kinds = [piece.decoded for piece in pieces(text + " and so on." * 400, tokenizer, 192, 32)]
    assert kinds[0] == "base64" and not any(kinds[1:])


@given(st.text(max_size=60), st.sampled_from(["base64", "hex"]), st.integers(1, 2))
def test_a_view_of_a_view_has_its_places_within_the_text(words: str, way: str, times: int) -> None:
    text = f"Please read {words} by Monday and bring the folder &#105;&#103;n"
    for _ in range(times):
        raw = text.encode("utf-8", "replace")
        text = base64.b64encode(raw).decode() if way == "base64" else raw.hex()
    for view in decoded_views(text):
        for at in range(len(view.text)):
            start, end = view.original_span(at, at + 1)
            assert 0 <= start <= end <= len(text)
