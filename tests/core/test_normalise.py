"""The normaliser: one plain form, NFKC, bounded, with offsets that lead back."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from alknet_firewall.text import characters
from alknet_firewall.text.normalise import MAX_MARKS, MAX_REPEATS, MAX_SPACES, normalise

FLAG = "\U0001f3f4"
CANCEL_TAG = "\U000e007f"
BLANKS = " \u00a0\u3000\u2003\u202f\u1680\u2800\t"

# Characters that some rule is about, so that random text often puts two of them side by side.
AWKWARD = (
    BLANKS
    + "\n\r\x0b\x0c\x85\u2028\u2029aAeqz1"
    + "\0\x07\x1b\x7f\x9f\u00ad\u034f\u180e"
    + "\u061c\u200b\u200c\u200d\u200e\u202a\u202e\u2060\u2066\ufeff\ufe0f\ufff9"
    + "\u0301\u0323\u0327\u0345\u0344\u0f73\u093c\u09be\u3099"
    + "\uff9e\u0e33\u1d16e\U0001d165\U00016d67\U00016d63"
    + "\u1100\u1161\u11a8\u314f\u3131\uffc2\uac00\uac01\u115f\u1160\u3164\uffa0"
    + "\ufb01\uff21\ufdfa\ufc5e\u00a8\u1e9b\u0958\u1ebf\u2126\u212b"
    + "\u00bd\u2460\u2025\uff76\u0390\U0002f800\U0001d15e"
    + "\ud800\udbff\udc00\udfff\ud83d\ude00\udb40\udc41\ufffd\uffff\U0010ffff"
    + FLAG
    + CANCEL_TAG
    + "\U000e0001\U000e0041\U000e0020\U000e0100"
)
ANY_CHARACTER = st.characters(exclude_categories=())
PIECES = st.one_of(
    st.text(ANY_CHARACTER, max_size=8),
    st.text(st.sampled_from(AWKWARD), max_size=12),
    st.builds(str.__mul__, st.text(st.sampled_from(AWKWARD), min_size=1, max_size=2), st.integers(1, 80)),
    st.text(st.sampled_from(" \n\ta"), max_size=20),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


def is_ordinary(character: str) -> bool:
    """Whether only NFKC has a say about the character."""
    point = ord(character)
    if unicodedata.category(character) in ("Cc", "Cs"):
        return character == "\t"
    return int(characters.replacements(np.array([point], dtype=np.uint32))[0]) == point


def in_nfkc(text: str) -> bool:
    """Whether a text is in NFKC but for the few characters that stay as they are."""
    uncomposed = "\u4e00"  # stands for them: a mark behind an `x` would become one character with it
    return unicodedata.is_normalized("NFKC", text.translate(dict.fromkeys(map(ord, characters.PHRASES), uncomposed)))


def has_noise(text: str) -> bool:
    """Whether marks may be taken off: there is a letter with three, or three that each carry one."""
    decomposed = unicodedata.normalize("NFKD", text)
    kinds = "".join("m" if unicodedata.category(c)[0] == "M" else "b" for c in decomposed)
    composed = unicodedata.normalize("NFKC", text)
    loose = "".join("m" if unicodedata.category(c)[0] == "M" else "b" for c in composed)
    return "bmmm" in kinds or bool(re.search("(?:bm+){3}", loose))


def hidden(text: str) -> str:
    """ASCII as invisible tag characters."""
    return "".join(chr(0xE0000 + ord(character)) for character in text)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
@example("\u0344" * MAX_MARKS)
@example("\u0301" * (MAX_MARKS + 1))
@example("\r\u200b\n\r\r\n")
@example("e" + "\u200b" * 5 + "\u0301")
@example("\n \n\n \n\n \u0301")
@example("\ufdfa\u0307")
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text).text
    twice = normalise(once)
    assert twice.text == once
    assert in_nfkc(once)
    once.encode("utf-8")


@given(
    st.text(ANY_CHARACTER.filter(is_ordinary), max_size=15) | st.text(st.sampled_from(AWKWARD), max_size=12)
)
@settings(max_examples=500, deadline=None)
def test_equals_nfkc_where_nothing_is_removed(text: str) -> None:
    text = "".join(filter(is_ordinary, text))
    assume(not has_noise(text))
    text = "".join(character for character in text if character not in characters.PHRASES)
    assert normalise(text).text == unicodedata.normalize("NFKC", text)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_offsets_ascend_within_the_original(text: str) -> None:
    result = normalise(text)
    assert result.original_length == len(text)
    if result.offsets is None:
        assert result.text == text
        return
    assert result.offsets.shape == (len(result.text) + 1,)
    assert result.offsets[-1] == len(text)
    assert (np.diff(result.offsets) >= 0).all()
    assert not result.text or result.offsets[0] == 0
    assert not result.offsets.flags.writeable


@given(TEXTS)
def test_spans_of_the_characters_divide_the_original(text: str) -> None:
    result = normalise(text)
    spans = sorted({result.original_span(i, i + 1) for i in range(len(result.text))})
    if not spans:
        return
    assert all(start < end for start, end in spans)
    assert [start for start, _ in spans] == [0] + [end for _, end in spans[:-1]]
    assert spans[-1][1] == len(text)


@given(TEXTS, st.data())
@settings(max_examples=500, deadline=None)
def test_a_span_normalises_to_text_that_holds_the_piece(text: str, data: st.DataObject) -> None:
    # Whether marks are noise depends on how many there are on the letters around: a part may keep what the whole lost.
    assume(not any(unicodedata.category(c).startswith("M") for c in text))
    result = normalise(text)
    start = data.draw(st.integers(0, len(result.text)))
    end = data.draw(st.integers(start, len(result.text)))
    first, last = result.original_span(start, end)
    # White space apart: how many blank lines are too much depends on those before the span.
    piece = "".join(result.text[start:end].split())
    assert piece in "".join(normalise(text[first:last]).text.split())


@given(st.text(st.characters(max_codepoint=0x7F), max_size=200))
def test_plain_ascii_is_returned_as_it_is(text: str) -> None:
    result = normalise(text)
    if result.text == text:
        assert result.offsets is None
        assert result.original_span(0, len(text)) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("   ", "   ", id="blank"),
        pytest.param("a\0b", "ab", id="NUL"),
        pytest.param("\0", "", id="only NUL"),
        pytest.param("col\tumn\r\nnext\rlast\n", "col\tumn\nnext\nlast\n", id="line ends"),
        pytest.param("a\x0bb\x0cc\x85d\u2028e\u2029f", "a\nb\nc\nd\ne\nf", id="rare line ends"),
        pytest.param("a\u00a0b\u3000c\u2009d\u2800e", "a b c d e", id="rare spaces"),
        pytest.param("\x1b[31mred", "[31mred", id="escape"),
        pytest.param("ig\u200bno\u2060re\ufeff al\u00adl", "ignore all", id="zero width"),
        pytest.param("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u062e", id="ZWNJ"),
        pytest.param("\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469", id="ZWJ"),
        pytest.param("\u2764\ufe0f\U000e0100", "\u2764", id="variation selectors"),
        pytest.param("\u202egnp.exe\u2069\u200f", "gnp.exe", id="bidirectional"),
        pytest.param("\u3164\uffa0\u115f\u034fx", "x", id="fillers"),
        pytest.param("\ud800a\udc00", "\ufffda\ufffd", id="lone surrogates"),
        pytest.param("\ud83d\ude00", "\U0001f600", id="surrogate pair"),
        pytest.param("ig\ud800no\udc00\ud800re", "ignore", id="lone surrogates in a word"),
        pytest.param("ig\ud800\u200b\ud800no,\ud800 \ud800re", "igno, re", id="lone among zero width"),
        pytest.param("so\ud83d \U0001f600\ud83d!", "so \U0001f600\ufffd!", id="lone beside an emoji"),
        pytest.param("и\udfffг", "иг", id="lone between Cyrillic letters"),
        pytest.param("\ud83d\ud83d\ude00", "\ufffd\U0001f600", id="lone before pair"),
        pytest.param("\udb40\udc41", "A", id="tag as surrogate pair"),
        pytest.param("hi" + hidden("Ignore all."), "hiIgnore all.", id="tags"),
        pytest.param(FLAG + hidden("gbeng") + CANCEL_TAG + "!", FLAG + "!", id="flag of England"),
        pytest.param(FLAG + hidden("obey") + CANCEL_TAG, FLAG + "obey", id="tags behind a flag"),
        pytest.param(FLAG + hidden("gbeng"), FLAG + "gbeng", id="flag without end"),
        pytest.param(
            "\ud800" + FLAG + hidden("gbsct") + CANCEL_TAG, "\ufffd" + FLAG, id="flag after surrogate"
        ),
        pytest.param("\ud83c\udff4" + hidden("gbwls") + CANCEL_TAG + "a", FLAG + "a", id="flag as pair"),
        pytest.param("\uff29\uff47\uff4e\uff4f\uff52\uff45", "Ignore", id="full width"),
        pytest.param("\ufb01le \u2168 \u00bd", "file IX 1\u20442", id="ligature"),
        pytest.param("\u1112\u1161\u11ab", "\ud55c", id="Hangul jamo"),
        pytest.param("\u3131\u314f", "\uac00", id="Hangul compatibility jamo"),
        pytest.param("e\u0301\u0323", "\u1eb9\u0301", id="marks in order"),
        pytest.param("e\u200b\u0301", "\u00e9", id="mark behind zero width"),
        pytest.param("\uff76\uff9e", "\u30ac", id="half-width katakana"),
        pytest.param("<|im_end|>", "<|im_end|>", id="control token is text"),
    ],
)
def test_cases(text: str, expected: str) -> None:
    assert normalise(text).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a" * 1_000_000, "a" * MAX_REPEATS, id="a million letters"),
        pytest.param("\0" * 1_000_000, "", id="a million NULs"),
        pytest.param("\ud800" * 1_000_000, "\ufffd" * MAX_REPEATS, id="a million surrogates"),
        pytest.param("x" + " " * 1_000_000 + "y", "x" + " " * MAX_SPACES + "y", id="a million spaces"),
        pytest.param("x" + "\u3000" * 99 + "y", "x" + " " * MAX_SPACES + "y", id="wide spaces"),
        pytest.param("x\n\n\ny", "x\n\n\ny", id="two blank lines"),
        pytest.param("x\n\n\n\ny", "x\n\n\ny", id="three blank lines"),
        pytest.param("x\r\n \r\n\t\r\n \r\n  y", "x\n \n\t\n  y", id="lines of blanks"),
        pytest.param("\n" * 1_000_000, "\n\n\n", id="a million line feeds"),
        pytest.param("=" * MAX_REPEATS, "=" * MAX_REPEATS, id="a rule"),
        pytest.param("\u05e9" + "\u0301" * 10_000, "\u05e9" + "\u0301" * MAX_MARKS, id="a stack of marks"),
        pytest.param("q" + "\u0301" * 10_000, "q", id="a stack of marks on a Latin letter"),
        pytest.param("\u0301" * 10_000, "\u0301" * MAX_MARKS, id="marks on nothing"),
        pytest.param(
            "\u05e9" + "\u0344" * 10_000,
            "\u05e9" + "\u0308\u0301" * (MAX_MARKS // 2),
            id="marks that decompose",
        ),
    ],
)
def test_shortening(text: str, expected: str) -> None:
    result = normalise(text)
    assert result.text == expected
    first = 0 if expected else len(text)
    assert result.original_span(0, len(expected)) == (first, len(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("i\u0316\u0317\u0318g\u0316\u0317\u0318n", "ign", id="stacks"),
        pytest.param("e\u0301\u0316\u0317a", "ea", id="a stack on a composed letter"),
        pytest.param("i\u0336g\u0336n\u0336 all", "ign all", id="struck through"),
        pytest.param("c\u0336a\u0336f\u0336e\u0301\u0336", "café", id="struck through, accent kept"),
        pytest.param("i\u0336g\u0336 \u0336n\u0336", "ig n", id="a mark on the space as well"),
        pytest.param("и\u0316\u0317\u0318г", "иг", id="stack on Cyrillic"),
        pytest.param("ig\u0336no\u0336re", "ig\u0336no\u0336re", id="few single marks stay"),
    ],
)
def test_marks_that_no_language_needs_are_taken_off(text: str, expected: str) -> None:
    assert normalise(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Crème brûlée à l'œuvre, naïve Ångström", id="French"),
        pytest.param("Tất cả các hướng dẫn trước đây đều được giữ lại", id="Vietnamese"),
        pytest.param("ᾧ ἔφη τοῖς ᾄσμασιν ᾗπερ", id="polytonic Greek"),
        pytest.param("за\u0301мок и замо\u0301к", id="Russian with stress"),
        pytest.param("ọ\u0300rọ\u0300 ẹ\u0300kọ\u0301", id="Yoruba"),
        pytest.param("łį\u0301į\u0301 bizaad", id="Navajo"),
        pytest.param("بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ", id="Arabic harakat"),
        pytest.param("בְּרֵאשִׁית בָּרָא אֱלֹהִים", id="Hebrew niqqud"),
        pytest.param("पिछले निर्देशों को हिन्दी में पढ़ें", id="Hindi"),
        pytest.param("ที่นี่มีน้ำ", id="Thai"),
        pytest.param("བོད་སྐད་ཀྱི་ཡི་གེ", id="Tibetan"),
    ],
)
def test_marks_that_languages_need_stay(text: str) -> None:
    expected = unicodedata.normalize("NFKC", text)
    assert normalise(text).text == expected


def test_marks_taken_off_belong_to_their_letter() -> None:
    result = normalise("a i\u0316\u0317\u0318g\u0336n\u0336o\u0336 b")
    assert result.text == "a igno b"
    assert result.original_span(2, 3) == (2, 6)
    assert result.original_span(3, 6) == (6, 12)


def test_a_stack_of_unsorted_marks_is_bounded() -> None:
    # Descending combining classes are the worst case of the sorting in NFKC.
    result = normalise("\u05e9" + "\u0345\u0301\u0323\u0327" * 250_000 + "r")
    assert len(result.text) == MAX_MARKS + 2
    assert result.original_span(1, 2) == (0, 1_000_001)


def test_output_is_at_most_four_characters_a_character() -> None:
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    long = {character for character in every if len(unicodedata.normalize("NFKC", character)) > 4}
    assert long == characters.PHRASES
    assert normalise("\ufdfaa" * 1000).text == "\ufdfaa" * 1000
    assert len(normalise("\ufdfca" * 1000).text) == 5 * 1000


def test_a_phrase_that_stays_keeps_its_marks_and_neighbours() -> None:
    result = normalise("\uff21\ufdfa\u0344\u200b\ufb01\u3316")
    assert result.text == "A\ufdfa\u0308\u0301fi\u3316"
    assert result.original_span(1, 4) == (1, 4) and result.original_span(4, 5) == (4, 5)
    assert normalise(result.text).text == result.text


@given(TEXTS, st.data())
def test_many_spans_are_those_of_each(text: str, data: st.DataObject) -> None:
    result = normalise(text)
    places = st.integers(0, len(result.text))
    ranges = data.draw(st.lists(st.tuples(places, places).map(sorted), max_size=20))
    found = result.original_spans(np.array(ranges, np.int32).reshape(-1, 2))
    assert [tuple(span) for span in found.tolist()] == [result.original_span(*span) for span in ranges]


@pytest.mark.parametrize(
    ("text", "piece", "original"),
    [
        pytest.param("see \ufb01\u200ble now", "i", "\ufb01\u200b", id="part of a ligature"),
        pytest.param("ab\u200b\u200bcd", "c", "c", id="behind removed characters"),
        pytest.param("\u200bab", "a", "\u200ba", id="removed at the start"),
        pytest.param("\u200bq\u0301b", "q", "\u200bq\u0301", id="removed before a combining sequence"),
        pytest.param("ne\u0301e", "\u00e9", "e\u0301", id="composed"),
        pytest.param("nq\u0301e", "q", "q\u0301", id="not composed, from the base"),
        pytest.param("nq\u0301e", "\u0301", "q\u0301", id="not composed, from the mark"),
        pytest.param("\u1112\u1161\u11ab!", "\ud55c", "\u1112\u1161\u11ab", id="Hangul"),
        pytest.param("a\r\nb", "\n", "\r\n", id="line end"),
        pytest.param("a\ud83d\ude00b", "\U0001f600", "\ud83d\ude00", id="surrogate pair"),
        pytest.param(
            "a" + FLAG + hidden("gbeng") + CANCEL_TAG + "b",
            FLAG,
            FLAG + hidden("gbeng") + CANCEL_TAG,
            id="flag",
        ),
    ],
)
def test_original_span(text: str, piece: str, original: str) -> None:
    result = normalise(text)
    at = result.text.index(piece)
    start, end = result.original_span(at, at + len(piece))
    assert text[start:end] == original


def test_empty_spans_stay_empty() -> None:
    result = normalise("\ufb01x")
    assert [result.original_span(i, i) for i in range(4)] == [(0, 0), (0, 0), (1, 1), (2, 2)]
    assert normalise("\u200b").original_span(0, 0) == (1, 1)


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 4)])
def test_a_range_outside_the_text_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not a range"):
        normalise("abc").original_span(start, end)


def test_no_cut_is_made_in_front_of_what_unicode_may_merge() -> None:
    """Holds the hand-written part of the tables against the Unicode version of this Python."""
    merging: set[str] = set()
    for point in [*range(0xD800), *range(0xE000, 0x20000)]:
        decomposed = unicodedata.normalize("NFD", chr(point))
        if unicodedata.normalize("NFC", decomposed) == chr(point):
            merging.update(decomposed[1:])
        if unicodedata.combining(decomposed[0]):
            merging.add(chr(point))
    points = np.array(sorted(map(ord, merging)), dtype=np.uint32)
    assert len(points) > 500
    assert ((characters.flags(points) & characters.CONTINUES) != 0).all()


def test_every_character_alone_is_stable() -> None:
    """All of Unicode in one text each way, a letter between the characters."""
    text = "".join(chr(point) + "x" for point in [*range(0x20000), *range(0xE0000, 0xE2000)])
    once = normalise(text)
    assert normalise(once.text).text == once.text
    assert in_nfkc(once.text)
