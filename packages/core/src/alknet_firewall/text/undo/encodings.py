"""Text written in another alphabet: base64, base32, hex, bits, character codes, Morse."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alknet_firewall.text.undo.edits import Edit
from alknet_firewall.text.undo.numerals import find_numerals
from alknet_firewall.text.undo.reading import CODE, Reading
from alknet_firewall.text.undo.words import legible, prose

SHORTEST = 16
"""Characters of the shortest run of base64, base32 or hex that is looked at."""

_FEW = 8  # characters: of what decodes to fewer, nothing can be told unless it is words
_UNREADABLE = bytes([*range(9), 11, 12, *range(14, 32), 127])
_BETWEEN_LINES = re.compile(r"[ \t]{0,80}\n[ \t>|#*/]{0,80}")
_LAST_LINE = re.compile(r"[ \t]{0,80}\n[ \t>|#*/]{0,80}[A-Za-z0-9+/_-]{1,15}(?![^\s\"'`)=])")
_NOT_ALPHABET = re.compile(r"[^A-Za-z0-9+/_-]+")
_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){8,})")
_BASE32 = re.compile(r"[A-Z2-7]{16,}={0,6}")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A stretch that was decoded.

    Attributes:
        kind: Its encoding.
        edit: What it stands for.
        certain: Whether that is text; else it can be read, but may be anything.
    """

    kind: str
    edit: Edit
    certain: bool


def find_encodings(reading: Reading) -> Iterator[Decoded]:
    """Finds stretches that decode to readable text, without overlap within a kind."""
    text = reading.text
    for start, end in _long_runs(reading):
        yield from _in_run(text, start, end)
    for kind, start, end, meaning in find_numerals(reading):
        if prose(meaning):
            yield Decoded(kind, Edit(start, end, meaning), certain=True)


def _long_runs(reading: Reading) -> Iterator[tuple[int, int]]:
    """Runs of characters of base64; the lines of a wrapped one are one run."""
    if b"#" * SHORTEST not in reading.mask(CODE):
        return
    others = np.flatnonzero(np.concatenate([[True], ~reading.has(CODE), [True]])) - 1
    long = np.flatnonzero(np.diff(others) > SHORTEST)
    start = end = -1
    for first, last in zip((others[long] + 1).tolist(), others[long + 1].tolist()):
        if start >= 0 and _BETWEEN_LINES.fullmatch(reading.text, end, first):
            end = last
            continue
        if start >= 0:
            yield start, _with_last_line(reading.text, start, end)
        start, end = first, last
    if start >= 0:
        yield start, _with_last_line(reading.text, start, end)


def _with_last_line(text: str, start: int, end: int) -> int:
    last = _LAST_LINE.match(text, end)
    return last.end() if last and end - start >= 2 * SHORTEST else end


def _in_run(text: str, start: int, end: int) -> Iterator[Decoded]:
    """What a run stands for: the first reading of it that is text, else the first that can be read at all."""
    run = text[start:end]
    if run in (run.lower(), run.upper()) and not any(sign.isdigit() for sign in run):
        return  # a long word, a path, a rule
    unsure: Decoded | None = None
    for found in _readings(text, start, end):
        if found is not None and found.certain:
            yield found
            return
        unsure = unsure or found
    if unsure is not None:
        yield unsure


def _readings(text: str, start: int, end: int) -> Iterator[Decoded | None]:
    run = text[start:end]
    for hexadecimal in _HEX.finditer(run):
        first, last = start + hexadecimal.start(), start + hexadecimal.end()
        yield _judged("hex", first, last, bytes.fromhex(hexadecimal[1]))
    for upper in _BASE32.finditer(text, start, min(len(text), end + 6)):
        yield _judged("base32", upper.start(), upper.end(), _from_base32(upper.group().rstrip("=")))
    while end < len(text) and text[end] == "=":
        end += 1
    for skipped in range(4):  # the run may begin with the end of something else
        yield _judged("base64", start + skipped, end, _from_base64(run[skipped:]))


def _from_base32(digits: str) -> bytes:
    if len(digits) % 8 in (1, 3, 6):  # no whole number of bytes has so many digits
        digits = digits[:-1]
    return base64.b32decode(digits + "=" * (-len(digits) % 8))


def _from_base64(run: str) -> bytes:
    digits = _NOT_ALPHABET.sub("", run).replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def _judged(kind: str, start: int, end: int, data: bytes) -> Decoded | None:
    if len(data) - len(data.translate(None, _UNREADABLE)) > 0.05 * len(data):
        if data[1::2].count(0) < 0.4 * len(data):
            return None
        meaning = data.decode("utf-16-le", "replace")
    else:
        meaning = data.decode("utf-8", "replace")
    broken = meaning.count("\ufffd")
    if broken > 0.1 * len(meaning):
        return None
    meaning = meaning.replace("\ufffd", "")
    certain = prose(meaning) or (not broken and legible(meaning))
    return Decoded(kind, Edit(start, end, meaning), certain) if certain or len(meaning) >= _FEW else None
