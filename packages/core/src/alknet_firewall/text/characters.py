"""What the normaliser must know of each code point, as two tables that NumPy can index.

The tables are filled from `unicodedata`, each code point when a text first shows it: nobody pays for more than
there is in the text, so that no short text can make the firewall look up all of Unicode. Filling a place twice writes
the same values, so threads need no lock.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

CodePoints = npt.NDArray[np.uint32]

REMOVED = 0x110000
"""Stands in the replacement table where a character is to be taken out; one past the last code point."""

CONTINUES = 1
"""Flag: the character may merge with, or belongs to, the one before it; no cut may be made in front of it."""

MARK = 2
"""Flag: the character is a combining mark or turns into one; a stack of these is bounded."""

UNSTABLE = 4
"""Flag: NFKC changes the character even when it stands alone."""

WORD = 8
"""Flag: a letter, a digit or a mark: words are made of these."""

BARE = 16
"""Flag: printable ASCII, or a letter of Latin, Greek or Cyrillic: what carries few marks or none."""

PHRASES = frozenset(
    map(
        chr,
        (
            *(0x3307, 0x3315, 0x3316, 0x3317, 0x3319, 0x331A, 0x3320, 0x332B, 0x332E, 0x3332, 0x3334, 0x3336),
            *(0x3347, 0x334A, 0x3356, 0x33AE, 0x33AF, 0xFDFA, 0xFDFB),
        ),
    )
)
"""Characters that NFKC would turn into more than four: units of measure, and two phrases in Arabic."""

_N_CODE_POINTS = 0x110000

_replacement: CodePoints = np.zeros(_N_CODE_POINTS, dtype=np.uint32)  # (0x110000,), see `_replace`
_flags: npt.NDArray[np.uint8] = np.zeros(_N_CODE_POINTS, dtype=np.uint8)  # (0x110000,)
_filled: npt.NDArray[np.bool_] = np.zeros(_N_CODE_POINTS, dtype=np.bool_)  # (0x110000,)

# Invisible (Default_Ignorable_Code_Point), yet not of category Cf: joiners, fillers, variation selectors.
_IGNORABLE = frozenset(
    (
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2065, 0x3164, 0xFFA0),
        *range(0xFE00, 0xFE10),
        *range(0xFFF0, 0xFFF9),
    )
)
_TAG_BLOCK = range(0xE0000, 0xE1000)  # tag characters and the supplementary variation selectors
_TAG_ASCII = range(0xE0020, 0xE007F)  # the tag characters that stand for printable ASCII
_BRAILLE_BLANK = 0x2800  # a symbol by category, but nothing is drawn
_BARE_SCRIPTS = ((0, 0x530), (0x1C80, 0x1C90), (0x1D00, 0x2000), (0x2C60, 0x2C80), (0xA640, 0xA800))
"""Where the letters of Latin, Greek and Cyrillic lie."""
_LINE_BREAKS = frozenset([0x0B, 0x0C, 0x85])  # vertical tab, form feed, NEL: categories Zl and Zp join them

# Starters that merge with what stands before them, not of category M: Hangul vowels and finals, Kirat Rai E.
_MERGING_LETTERS = frozenset([*range(0x1160, 0x1176), *range(0x11A8, 0x11C3), 0x16D67])


def replacements(points: CodePoints) -> CodePoints:
    """Looks up what each code point is replaced by before NFKC.

    Args:
        points: (n,) code points.

    Returns:
        (n,) code points, the same where nothing changes, `REMOVED` where the character goes.
    """
    _fill_for(points)
    return _replacement[points]


def flags(points: CodePoints) -> npt.NDArray[np.uint8]:
    """Looks up how each code point behaves in NFKC.

    Args:
        points: (n,) code points.

    Returns:
        (n,) sums of `CONTINUES`, `MARK`, `UNSTABLE`, `WORD` and `BARE`.
    """
    _fill_for(points)
    return _flags[points]


def _fill_for(points: CodePoints) -> None:
    unknown = points[~_filled[points]]
    if not len(unknown):
        return
    found = np.unique(unknown)
    _replacement[found] = [_replace(point) for point in found.tolist()]
    _flags[found] = [_flag(point) for point in found.tolist()]
    _filled[found] = True  # last, so that another thread never reads a place that is not filled as filled


def _replace(point: int) -> int:
    """Gives what stands for the code point in cleaned text; a carriage return waits for the line-end rule."""
    if chr(point) in "\t\n\r":
        return point
    if 0xD800 <= point < 0xE000:
        return 0xFFFD
    if point in _TAG_ASCII:
        return point - 0xE0000
    category = unicodedata.category(chr(point))
    if point in _LINE_BREAKS or category in ("Zl", "Zp"):
        return 0x0A
    if point == _BRAILLE_BLANK or category == "Zs":
        return 0x20
    if category in ("Cc", "Cf") or point in _IGNORABLE or point in _TAG_BLOCK:
        return REMOVED
    return point


def _flag(point: int) -> int:
    character = chr(point)
    first = unicodedata.normalize("NFKD", character)[0]
    is_mark = unicodedata.category(first).startswith("M")
    continues = is_mark or ord(first) in _MERGING_LETTERS
    unstable = character not in PHRASES and unicodedata.normalize("NFKC", character) != character
    kind = unicodedata.category(character)[0]
    of_word = kind in "LNM"
    bare = 0x20 <= point < 0x7F or (kind == "L" and any(start <= point < end for start, end in _BARE_SCRIPTS))
    return CONTINUES * continues + MARK * is_mark + UNSTABLE * unstable + WORD * of_word + BARE * bare
