"""One plain form of a text, with the way back to the original characters.

The same words can be written in many ways that a reader cannot tell apart; a detector should see one of them.
In this order, each step looking only at neighbouring characters, from left to right:

1. Surrogate pairs become the character they stand for (a tag character could hide in one). Lone ones within
   written text (letters, digits, ASCII, white space) are removed, others become U+FFFD.
2. Unicode tag characters U+E0020 to U+E007E become the ASCII that they stand for: models read them, people do
   not see them. Only the three flags that are drawn as flags (England, Scotland, Wales) lose their tags.
3. Invisible characters are removed: controls, bidirectional controls, zero-width characters, soft hyphens,
   word joiners, byte order marks, variation selectors, fillers, all else of category Cf. This includes U+200C
   and U+200D: Persian, Indic text and emoji are drawn differently without them, but their letters, which are
   what is scored, stay.
4. Line ends of every kind become a line feed, spaces of every kind a space.
5. NFKC, one starter and its combining sequence at a time, but for the 19 characters that stand for more than four
   (words and a phrase of eighteen letters, written as one sign): these stay as they are, as nothing can be spelt with
   them, and a text of them would cost eighty times what it is worth. Marks that no language needs are taken off, see
   `noise`.
6. What only dilutes or costs is shortened: stacks of more than 30 combining marks, more than 16 equal spaces
   or tabs, more than 64 equal characters, more than 2 blank lines in a row.

Work and memory are linear in the length (one character gives at most four).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.text import characters
from alknet_firewall.text.characters import CONTINUES, MARK, REMOVED, UNSTABLE, CodePoints
from alknet_firewall.text.noise import breaking_surrogates, without_stacks

MAX_MARKS = 30
"""Combining marks kept in a row; the bound of Unicode's stream-safe text format (UAX 15)."""

MAX_SPACES = 16
"""Equal spaces or tabs kept in a row."""

MAX_REPEATS = 64
"""Equal characters of any other kind kept in a row."""

Offsets = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]

_UTF32 = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
_SPACE, _TAB, _LF, _CR, _CANCEL_TAG = 0x20, 0x09, 0x0A, 0x0D, 0xE007F
_ASCII_CONTROLS = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
_BLANK_LINES = re.compile(r"\n[ \t]*\n[ \t]*\n((?:[ \t]*\n)+)")  # two blank lines, and what is too much
_DRAWN_FLAGS = "|".join(
    "".join(chr(0xE0000 + ord(c)) for c in region) for region in ("gbeng", "gbsct", "gbwls")
)
_FLAGS = re.compile(f"\U0001f3f4(?:{_DRAWN_FLAGS})\U000e007f")


@dataclass(frozen=True, slots=True, eq=False)
class NormalisedText:
    """A normalised text and where its characters came from.

    Attributes:
        text: the normalised text, without surrogates.
        offsets: (len(text) + 1,) ascending integers. Entry i is where, in the original, the group of
            characters starts that character i came out of: a starter with its combining sequence and whatever
            was removed behind it. The last entry is the original's length. The first group starts at 0, so
            the groups divide the original without gaps. None stands for `arange(len(text) + 1)`.
        original_length: length of the original text, in characters.
    """

    text: str
    offsets: Offsets | None
    original_length: int

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Maps a range of the normalised text to the original.

        Args:
            start: first character of a half-open range of `text`.
            end: one past its last character; equal to `start` for a place between two characters.

        Returns:
            The half-open range of the original that holds every character which went into the given one,
            widened to whole combining sequences; empty for an empty range.

        Raises:
            ValueError: unless `0 <= start <= end <= len(text)`.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"not a range of a text of {len(self.text)} characters: {start} to {end}")
        if self.offsets is None:
            return start, end
        first = int(self.offsets[start])
        if start == end:
            return first, first
        next_group = int(np.searchsorted(self.offsets, self.offsets[end - 1], side="right"))
        # In a view the last group may be empty: what it came out of belongs to the one before.
        return first, int(self.offsets[min(next_group, len(self.offsets) - 1)])

    def original_spans(self, ranges: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """Maps many ranges at once, as `original_span` does each.

        Args:
            ranges: Half-open ranges of `text`, (n, 2).

        Returns:
            Half-open ranges of the original, (n, 2).
        """
        starts, ends = ranges[:, 0].astype(np.int64), ranges[:, 1].astype(np.int64)
        if self.offsets is None:
            return np.stack([starts, ends], axis=1)
        first = self.offsets[starts].astype(np.int64)
        behind = np.searchsorted(self.offsets, self.offsets[np.maximum(ends - 1, 0)], side="right")
        last = self.offsets[np.minimum(behind, len(self.offsets) - 1)].astype(np.int64)
        return np.stack([first, np.where(starts == ends, first, last)], axis=1)


def normalise(text: str) -> NormalisedText:
    """Brings a text into the plain form that this module describes; never raises for a `str`.

    Normalising twice changes nothing more. ASCII text with nothing to change is recognised in microseconds.

    Args:
        text: any text; it may hold lone surrogates and NUL.

    Returns:
        The normalised text with its offsets.
    """
    if _is_plain_ascii(text):
        return NormalisedText(text, None, len(text))
    points, sources = _cleaned(text)
    points, sources = _compatible(points, sources)
    points, sources = _shortened(points, sources)
    result = _string(points)
    sources[sources == sources[:1]] = 0  # what was removed in front belongs to the first group
    if result == text and bool((np.diff(sources) == 1).all()):
        return NormalisedText(text, None, len(text))
    offsets = np.append(sources, sources.dtype.type(len(text)))
    offsets.setflags(write=False)
    return NormalisedText(result, offsets, len(text))


def _is_plain_ascii(text: str) -> bool:
    """Tells whether the text is ASCII that no rule touches; a doubtful one goes the long way."""
    if not text.isascii():
        return False
    data = text.encode("ascii")
    if len(data.translate(None, _ASCII_CONTROLS)) != len(data) or _BLANK_LINES.search(text):
        return False
    values = np.frombuffer(data, dtype=np.uint8)  # (n,)
    if len(values) <= MAX_SPACES:
        return True
    changes = np.flatnonzero(values[1:] != values[:-1])
    return int(np.diff(changes, prepend=-1, append=len(values) - 1).max()) <= MAX_SPACES


def _cleaned(text: str) -> tuple[CodePoints, Offsets]:
    """Steps 1 to 4: returns code points (m,) and the place of each in the original (m,)."""
    points = np.frombuffer(text.encode(_UTF32, "surrogatepass"), dtype=np.uint32)  # (n,)
    sources = _places(len(points))  # (n,)
    points, sources = _without_surrogate_pairs(points, sources)
    replaced = characters.replacements(points)
    if (points == _CANCEL_TAG).any():
        for flag in _FLAGS.finditer(_string(np.where(replaced == 0xFFFD, replaced, points))):
            replaced[flag.start() + 1 : flag.end()] = REMOVED
    keep = replaced != REMOVED
    points, replaced, sources = points[keep], replaced[keep], sources[keep]
    keep = ~breaking_surrogates(points, replaced)
    points, sources = replaced[keep], sources[keep]
    keep = np.ones(len(points), dtype=np.bool_)
    keep[1:] = (points[1:] != _LF) | (points[:-1] != _CR)
    points, sources = points[keep], sources[keep]
    points[points == _CR] = _LF
    keep = _within_runs(_has(points, MARK), MAX_MARKS)  # before NFKC, whose sorting of marks is quadratic
    return points[keep], sources[keep]


def _without_surrogate_pairs(points: CodePoints, sources: Offsets) -> tuple[CodePoints, Offsets]:
    high = (points >= 0xD800) & (points < 0xDC00)
    low = (points >= 0xDC00) & (points < 0xE000)
    first = np.flatnonzero(high[:-1] & low[1:])
    if not len(first):
        return points, sources
    combined = points.copy()
    combined[first] = 0x10000 + ((points[first] - 0xD800) << 10) + (points[first + 1] - 0xDC00)
    return np.delete(combined, first + 1), np.delete(sources, first + 1)


def _compatible(points: CodePoints, sources: Offsets) -> tuple[CodePoints, Offsets]:
    """Step 5: NFKC; characters that come out of one combining sequence all get the place where it starts."""
    kinds = characters.flags(points)  # (m,)
    begins = (kinds & CONTINUES) == 0
    begins[:1] = True
    starts = np.flatnonzero(begins)  # (g,), one a group
    ends = np.append(starts[1:], len(points))  # (g,)
    text = _string(points)
    lengths = ends - starts
    if not unicodedata.is_normalized("NFKC", text):
        changing = np.flatnonzero((lengths > 1) | ((kinds[starts] & UNSTABLE) != 0))
        pieces: list[str] = []
        changed_lengths: list[int] = []
        done = 0
        for start, end in zip(starts[changing].tolist(), ends[changing].tolist(), strict=True):
            piece = _in_nfkc(text[start:end])
            pieces += (text[done:start], piece)
            changed_lengths.append(len(piece))
            done = end
        pieces.append(text[done:])
        lengths[changing] = changed_lengths
        points = _points("".join(pieces))
    points, keep = without_stacks(points)
    return points[keep], np.repeat(sources[starts], lengths)[keep]


def _in_nfkc(sequence: str) -> str:
    """A starter with its combining sequence in NFKC; a starter that stands for too much stays as it is."""
    if sequence[0] in characters.PHRASES:
        return sequence[0] + unicodedata.normalize("NFKC", sequence[1:])
    return unicodedata.normalize("NFKC", sequence)


def _shortened(points: CodePoints, sources: Offsets) -> tuple[CodePoints, Offsets]:
    """Step 6; what is left still is in NFKC, as no two characters meet that had not met before a line end."""
    same = np.zeros(len(points), dtype=np.bool_)
    same[1:] = points[1:] == points[:-1]
    blank = (points == _SPACE) | (points == _TAB)
    keep = _within_runs(_has(points, MARK), MAX_MARKS)
    keep &= _places_since(~same) < np.where(blank, MAX_SPACES, MAX_REPEATS)
    points, sources = points[keep], sources[keep]
    keep = np.ones(len(points), dtype=np.bool_)
    for stretch in _BLANK_LINES.finditer(_string(points)):
        keep[stretch.start(1) : stretch.end(1)] = False
    return points[keep], sources[keep]


def _within_runs(member: Mask, most: int) -> Mask:
    """Marks all but the members of a run that come after its first `most`; (n,) in and out."""
    return ~member | (_places_since(~member) <= most)


def _places_since(restart: Mask) -> Offsets:
    """Counts how far each place lies behind the last marked one, as if one stood in front of all; (n,)."""
    places = _places(len(restart))
    last: Offsets = np.maximum.accumulate(np.where(restart, places, -1))
    return places - last


def _places(count: int) -> Offsets:
    return np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)


def _has(points: CodePoints, flag: int) -> Mask:
    return (characters.flags(points) & flag).astype(np.bool_)


def _string(points: CodePoints) -> str:
    return points.tobytes().decode(_UTF32)


def _points(text: str) -> CodePoints:
    return np.frombuffer(text.encode(_UTF32), dtype=np.uint32)
