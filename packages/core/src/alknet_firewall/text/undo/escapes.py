"""Characters written as escapes: HTML entities, percent signs, backslashes, quoted-printable.

Escaped punctuation is everyday text. What counts as evidence are letters and digits, which need no escape, a sentence
whose spaces are escaped, or many letters of another script.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from urllib.parse import unquote

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import legible, prose

FOREIGN_LETTERS = 8
"""So many escaped letters of another script than Latin are evidence."""

_BEYOND_LATIN = 0x2FF
_REACH = 400  # characters: how far a piece of evidence speaks for others

_ENTITY = re.compile(r"&(?:amp;(?=#))?(?:#[xX][0-9a-fA-F]{1,6}|#\d{1,7}|[A-Za-z][A-Za-z0-9]{1,31}(?=;));?")
_BACKSLASHES = re.compile(
    r"(?:\\u\{[0-9a-fA-F]{1,6}\}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\x[0-9a-fA-F]{2})+|(?:\\[0-3][0-7]{2}){2,}"
)
_BACKSLASH = re.compile(r"\\(?:u\{(\w+)\}|u(\w{4})|U(\w{8})|x(\w{2})|(\d{3}))")
_PERCENTS = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_QUOTED = re.compile(r"=(?:[0-9A-F]{2}(?:=[0-9A-F]{2})+|\n(?=[^\W\d_]))")
_FEWEST_SPACES = 3
_SENTENCE = re.compile(
    r"(?<![^\s\"'<>%=/?&(])[^\s\"'<>%]{1,40}(?:(?:%[0-9a-fA-F]{2}){1,4}[^\s\"'<>%]{1,40}){3,}"
)


def find_escapes(reading: Reading) -> Iterator[Finding]:
    """Finds escapes that stand for letters."""
    text = reading.text
    if "&" in text:
        yield _finding(text, _entities(text))
    if "\\" in text:
        yield _finding(text, (_backslashes(match) for match in _BACKSLASHES.finditer(text)))
    if "%" in text:
        runs = (_octets(match, "%") for match in _PERCENTS.finditer(text))
        yield _finding(text, runs, _sentences(text) if text.count("%") >= _FEWEST_SPACES else ())
    if "=" in text:
        yield _finding(text, (_octets(match, "=") for match in _QUOTED.finditer(text)))


def _entities(text: str) -> Iterator[Edit]:
    for match in _ENTITY.finditer(text):
        meaning = html.unescape(html.unescape(match.group()))  # `&amp;#105;` is one escape written in another
        if meaning != match.group():
            yield Edit(match.start(), match.end(), meaning)


def _backslashes(run: re.Match[str]) -> Edit:
    escapes = list(_BACKSLASH.finditer(run.group()))
    points = [int(next(filter(None, found.groups())), 8 if found[5] else 16) for found in escapes]
    if all(0x80 <= point < 0x100 for point in points) and (meaning := _utf8(bytes(points))):
        return Edit(run.start(), run.end(), meaning)  # bytes of UTF-8, as \xd0\xb8
    units = "".join(chr(point) if point < 0x110000 else "\ufffd" for point in points)
    meaning = units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if len(meaning) != len(escapes):  # pairs of surrogates
        return Edit(run.start(), run.end(), meaning)
    return Edit(run.start(), run.end(), meaning, tuple(run.start() + found.start() for found in escapes))


def _octets(run: re.Match[str], sign: str) -> Edit | None:
    """Two hexadecimal digits after a sign, for each byte of UTF-8."""
    meaning = _utf8(bytes.fromhex(run.group().replace(sign, "").strip()))
    if meaning is None:
        return None
    lengths = [3 * len(character.encode("utf-8")) for character in meaning]
    places = accumulate(lengths, initial=run.start())
    return Edit(run.start(), run.end(), meaning, tuple(places)[: len(meaning)])


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _sentences(text: str) -> list[int]:
    """Places of sentences whose spaces are escaped."""
    return [match.start() for match in _SENTENCE.finditer(text) if _is_sentence(unquote(match.group()))]


def _is_sentence(meaning: str) -> bool:
    return meaning.count(" ") >= _FEWEST_SPACES and (prose(meaning) or legible(meaning))


def _finding(text: str, edits: Iterable[Edit | None], places: Iterable[int] = ()) -> Finding:
    """The edits that lie within reach of evidence, at the given places or in what they stand for."""
    decoded = [edit for edit in edits if edit is not None]
    evidence = sorted([*places, *_evidence(decoded, text)])
    near = []
    at = 0
    for edit in decoded:
        while at < len(evidence) and evidence[at] < edit.start - _REACH:
            at += 1
        if at < len(evidence) and evidence[at] <= edit.end + _REACH:
            near.append(edit)
    return Finding("escapes", near)


def _evidence(edits: list[Edit], text: str) -> list[int]:
    """Places where escapes stand for letters that need none, or for many of another script."""
    plain: list[int] = []
    foreign: list[int] = []
    end_before = -1
    for edit, after in zip(edits, [*edits[1:], None]):
        letters = sum(sign.isalpha() and sign.isascii() for sign in edit.text)
        beside = text[edit.start - 1 : edit.start].isalpha() or text[edit.end : edit.end + 1].isalpha()
        joined = edit.start == end_before or (after is not None and after.start == edit.end)
        if letters > 1 or (letters and (beside or joined)):
            plain.append(edit.start)
        foreign += [edit.start] * sum(sign.isalpha() and ord(sign) > _BEYOND_LATIN for sign in edit.text)
        end_before = edit.end
    enough = [
        place for place, later in zip(foreign, foreign[FOREIGN_LETTERS - 1 :]) if later - place < _REACH
    ]
    return plain + enough
