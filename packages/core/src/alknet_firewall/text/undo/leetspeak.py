"""Words with digits and signs in place of letters.

Product codes, versions, hashes and names mix the two as well. Evidence is that several such words near each other
become English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import LEET, LETTER, Reading
from alknet_firewall.text.undo.words import known

LETTERS = {
    **{"0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t", "8": "b", "9": "g"},
    **{"@": "a", "$": "s", "!": "il", "|": "li", "+": "t", "€": "e", "£": "l", "¢": "c", "§": "s"},
}
"""The letters that a sign can stand for, the likeliest first."""

_MOST_CHOICES = 3  # signs of a word that are tried in two ways
_REACH = 120  # characters from one such word to the next that it speaks for
_BESIDE = 24  # characters before the first of them and behind the last that are read so, too
_LONG = 4  # letters of a word that chance hardly makes
_CERTAIN = 4  # words: then all in reach is read so, words or not
_PLAIN = str.maketrans({sign: letters[0] for sign, letters in LETTERS.items()})
_TOKEN = re.compile(r"(?<![\w@$!|+€£¢§])[A-Za-z0-9@$!|+€£¢§]{1,24}(?![\w@$!|+€£¢§])")
_SIGN_OR_LETTER = bytes(ord("1" if kinds & LEET else "a" if kinds & LETTER else " ") for kinds in range(256))
_SIGN_BEFORE_LETTER = re.compile(rb"1a")
_PUNCTUATION = "!|+"


@dataclass(frozen=True, slots=True)
class _Candidate:
    start: int
    text: str
    word: str | None  # None: it becomes no word

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def plain(word: str) -> str:
    """The likeliest letters of a word, sign by sign."""
    return word.translate(_PLAIN)


def unleeted(token: str) -> str | None:
    """The English word that a token with signs for letters stands for, or None."""
    choices: list[str] = []
    open_choices = 0
    for sign in token:
        letters = LETTERS.get(sign, sign)
        if open_choices == _MOST_CHOICES:
            letters = letters[0]
        open_choices += len(letters) > 1
        choices.append(letters)
    for letters_of_it in product(*choices):
        word = "".join(letters_of_it)
        if known(word):
            return word
    return None


def find_leetspeak(reading: Reading) -> Iterator[Finding]:
    """Finds words with signs for letters."""
    near: list[_Candidate] = []
    edits: list[Edit] = []
    for candidate in _candidates(reading):
        if near and candidate.start - near[-1].end > _REACH:
            edits += _edits(reading.text, near)
            near = []
        near.append(candidate)
    yield Finding("leetspeak", edits + _edits(reading.text, near))


def _candidates(reading: Reading) -> Iterator[_Candidate]:
    """Tokens in which a sign stands before a letter, if there are two at least."""
    signs = reading.kinds.tobytes().translate(_SIGN_OR_LETTER)
    if signs.count(b"1a") < 2:
        return
    done = 0
    for place in _SIGN_BEFORE_LETTER.finditer(signs):
        if place.start() >= done:
            start = signs.rfind(b" ", done, place.start()) + 1 or done
            token = _TOKEN.match(reading.text, start)
            if token is None:  # too long, or of another script in part: nothing else begins within it
                end = signs.find(b" ", place.end())
                done = end if end >= 0 else len(signs)
                continue
            done = token.end()
            candidate = _candidate(token.group(), start)
            if any(sign in LETTERS for sign in candidate.text):
                yield candidate


def _read(token: str) -> tuple[int, str, str | None]:
    """How many signs of a token are punctuation before it, what is left without, and the word that it stands for."""
    stripped = token.strip(_PUNCTUATION)
    word = unleeted(stripped)
    if word is None and stripped != token and (whole := unleeted(token)) is not None:
        return 0, token, whole
    return token.index(stripped), stripped, word


def _candidate(token: str, start: int) -> _Candidate:
    skipped, text, word = _read(token)
    return _Candidate(start + skipped, text, word)


def _edits(text: str, near: list[_Candidate]) -> list[Edit]:
    """Edits of words near each other, if enough of them become English."""
    read = {candidate.word for candidate in near if candidate.word}
    long = {word for word in read if len(word) >= _LONG}
    enough = len(long) >= 2 or (long and len(read) >= 3)
    if not enough or 2 * sum(bool(candidate.word) for candidate in near) < len(near):
        return []
    start, end = max(0, near[0].start - _BESIDE), near[-1].end + _BESIDE
    return list(_all_between(text, start, end, certain=len(read) >= _CERTAIN))


def _all_between(text: str, start: int, end: int, certain: bool) -> Iterator[Edit]:
    """Edits of tokens with signs that are words; where that is certain, of others too, and of `70` behind one."""
    end_before = -1
    for token in _TOKEN.finditer(text, start, end):
        candidate = _candidate(token.group(), token.start())
        if not any(sign in LETTERS for sign in candidate.text):
            continue
        spelt = any(sign.isalpha() for sign in candidate.text)
        behind = certain and candidate.start <= end_before + 2
        if (spelt and (certain or candidate.word)) or (candidate.word and behind):
            yield _edit(candidate.start, candidate.text, candidate.word or plain(candidate.text))
            end_before = candidate.end


def _edit(start: int, token: str, word: str) -> Edit:
    return Edit(start, start + len(token), word, tuple(range(start, start + len(token))))
