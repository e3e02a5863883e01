"""Words written backwards, upside down or in ROT13.

They are found where the letters follow each other as in words only then, and, for a few words or parts of a line, where
some that mean nothing become English in a row.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.letter_pairs import LetterPairs, Stretch
from alknet_firewall.text.undo.lookalike_letters import FLIPPED
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import known, ranks

_COMMON = 2500  # words of the list that hint at a cipher
_FEWEST_HINTS = 2
_FEWEST = 3  # words in a row that become English and were not
_FEWEST_LETTERS = 10
_STRANGE = 0.34  # share of a run that may be no words either way
_TOKEN = re.compile(r"[^\s\"()\[\]{}<>`]+")
_EDGES = ".,;:!?'*_#~-\u0307"
_NEAR = 200  # characters beside a stretch
_AT_EDGES = 2  # words that may be known in no way at the start of a run, and at its end
_BRACKET = re.compile(r"[()\[\]{}<>]")
_OPENING = "([{<"
_STOPS = tuple(".!?")
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_TURNED = re.compile(r"[ɐǝɹʇɯɥʞʎʌʍɟƃɾᴉ]")
_FLIP = str.maketrans(FLIPPED)


@dataclass(frozen=True, slots=True)
class _Cipher:
    kind: str
    read: Callable[[str], str]  # a word
    backwards: bool


_ROT13 = _Cipher("rot13", lambda word: codecs.encode(word, "rot13"), backwards=False)
_REVERSED = _Cipher("reversed", lambda word: word[::-1], backwards=True)
_UPSIDE_DOWN = _Cipher("reversed", lambda word: word.translate(_FLIP)[::-1], backwards=True)


def find_ciphers(reading: Reading) -> Iterator[Finding]:
    """Finds stretches of text in a cipher, the long ones first."""
    text = reading.text
    pairs = LetterPairs(reading)
    yield Finding("rot13", _whole_words(text, pairs.rot13(), _ROT13))
    yield Finding("reversed", _whole_words(text, pairs.backwards(), _REVERSED))
    lower = text.lower()
    mentioned = "rot13" in lower or "rot-13" in lower
    hints = _hints().intersection(lower.split())
    if mentioned or len(hints) >= _FEWEST_HINTS:
        yield Finding("rot13", _edits(text, _ROT13, 1 if mentioned else _FEWEST))
    if len(hints) >= _FEWEST_HINTS:
        yield Finding("reversed", _edits(text, _REVERSED, _FEWEST))
    if not text.isascii() and len(_TURNED.findall(text)) >= _FEWEST:
        yield Finding("reversed", _edits(text, _UPSIDE_DOWN, 2))


@lru_cache(maxsize=1)
def _hints() -> frozenset[str]:
    """Common words in a cipher, but those that are words themselves."""
    common = [word for word in list(ranks())[:_COMMON] if len(word) > 2]
    return frozenset(cipher.read(word) for word in common for cipher in (_ROT13, _REVERSED)) - ranks().keys()


def _edits(text: str, cipher: _Cipher, fewest: int) -> list[Edit]:
    """Reads the longest runs of words that make no sense as they stand."""
    edits = []
    run: list[re.Match[str]] = []
    for token in _TOKEN.finditer(text):
        if _plain(token.group()) and not _coded(token.group(), cipher):
            edits += _edit(text, run, cipher, fewest)
            run = []
        else:
            run.append(token)
    return edits + _edit(text, run, cipher, fewest)


def _whole_words(text: str, stretches: Sequence[Stretch], cipher: _Cipher) -> list[Edit]:
    """Reads stretches, and words beside them that are too short or too rare to be told by their letters."""
    edits: list[Edit] = []
    for start, end in stretches:
        low, high = max(edits[-1].end if edits else 0, start - _NEAR), min(end + _NEAR, len(text))
        before = [token for token in _TOKEN.finditer(text, low, start) if low == 0 or token.start() > low]
        behind = (token for token in _TOKEN.finditer(text, end, high) if high == len(text) or token.end() < high)
        start = min([start, *(token.start() for token in _beside(reversed(before), cipher))])
        end = max([end, *(token.end() for token in _beside(behind, cipher))])
        if edits and start < edits[-1].end:
            start = edits.pop().start
        edits.append(_read(text, start, end, cipher))
    return edits


def _beside(tokens: Iterable[re.Match[str]], cipher: _Cipher) -> Iterator[re.Match[str]]:
    """Those that make more sense in a cipher, from the nearest on; at most two that make none either way."""
    unknown = 0
    for token in tokens:
        coded = _coded(token.group(), cipher)
        unknown += not coded
        if not coded and (_plain(token.group()) or unknown > _AT_EDGES or not token.group().strip(_EDGES).isalpha()):
            return
        yield token


def _plain(token: str) -> bool:
    return known(token.strip(_EDGES))


def _coded(token: str, cipher: _Cipher) -> bool:
    return known(cipher.read(token.strip(_EDGES)))


def _edit(text: str, run: Sequence[re.Match[str]], cipher: _Cipher, fewest: int) -> list[Edit]:
    coded = [at for at, token in enumerate(run) if _coded(token.group(), cipher)]
    telling = [run[at] for at in coded if not _plain(run[at].group())]
    if not telling:
        return []
    run = run[_edge(run, coded[0], -1) : _edge(run, coded[-1], 1) + 1]
    strange = sum(not _coded(token.group(), cipher) for token in run)
    if len(telling) < fewest or strange > _STRANGE * len(run) + _AT_EDGES:
        return []
    if sum(len(token.group()) for token in telling) < (_FEWEST_LETTERS if fewest > 1 else 5):
        return []
    return [_read(text, run[0].start(), run[-1].end(), cipher)]


def _read(text: str, start: int, end: int, cipher: _Cipher) -> Edit:
    if cipher.backwards:
        return Edit(start, end, _in_order(text[start:end], cipher))
    return Edit(start, end, cipher.read(text[start:end]), tuple(range(start, end)))


def _edge(run: Sequence[re.Match[str]], at: int, step: int) -> int:
    """The last place from a token outwards that holds letters only, not far away."""
    for _ in range(_AT_EDGES):
        if not (0 <= at + step < len(run) and run[at + step].group().strip(_EDGES).isalpha()):
            break
        at += step
    return at


def _in_order(written: str, cipher: _Cipher) -> str:
    """All read from the end, or word by word; both where nothing tells which it is."""
    whole = cipher.read(written)
    by_word = re.sub(r"\S+", lambda word: cipher.read(word.group()), written)
    order = _order(whole)
    return whole if order > 0 else by_word if order < 0 else f"{whole}\n{by_word}"


def _order(text: str) -> int:
    """Whether a text begins and ends as one does: positive if so, negative if the other way round, 0 if unknown."""
    brackets = _BRACKET.findall(text)
    if brackets and (brackets[0] in _OPENING) != (brackets[-1] in _OPENING):
        return 1 if brackets[0] in _OPENING else -1
    words = [word.strip(_QUOTES) for word in text.split()]
    first, last = words[0], words[-1]
    return first[:1].isupper() + (last[-1:] in _STOPS) - (first[-1:] in _STOPS) - last[:1].isupper()
