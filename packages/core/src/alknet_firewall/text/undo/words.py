"""English words by how common they are, and what reads as prose: the evidence that something was undone rightly."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_LONGEST = 20
_UNKNOWN_LETTER = 12.0  # cost of a letter that belongs to no word; a common word costs about 3, a rare one 12
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_VOWELS = frozenset("aeiouyæøœıươAEIOUYÆØŒƯƠ")
_BEYOND_LATIN = 0x2FF
_LEGIBLE, _LEGIBLE_WORDS = 24, 3  # characters; words of three letters or more
_FEWEST_LETTERS = 4  # and different ones, of another script than Latin


@lru_cache(maxsize=1)
def ranks() -> Mapping[str, int]:
    """The words that are known, with their place in the order of how common they are."""
    lines = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").splitlines()
    return {word: rank for rank, word in enumerate(line for line in lines if not line.startswith("#"))}


def known(word: str) -> bool:
    """Whether it is a common English word, in any case."""
    return word.lower() in ranks()


def words_of(text: str) -> list[str]:
    """Its runs of letters, in any script."""
    return _WORD.findall(text)


def prose(text: str) -> bool:
    """Whether a text that was decoded reads as words: English ones that are known, or the shape of another language.

    Args:
        text: Any text. One word is enough if it is long and known.
    """
    if not text or sum(sign.isprintable() or sign in "\t\n" for sign in text) < 0.9 * len(text):
        return False
    body = sum(sign.isalpha() or sign in " \n" or ord(sign) > _BEYOND_LATIN for sign in text)
    if body < 0.7 * len(text):
        return False
    beyond = [sign for sign in text if ord(sign) > _BEYOND_LATIN and sign.isalpha()]
    if len(beyond) >= max(_FEWEST_LETTERS, len(text) // 3):
        return len(set(beyond)) >= _FEWEST_LETTERS
    words = words_of(text)
    if len(words) == 1 and not text.strip(" \n.,;:!?\"'").isalpha():
        return False  # a name with a number, more likely
    return english(words) or (body >= 0.85 * len(text) and _shaped_like_words(words))


def legible(text: str) -> bool:
    """Whether decoded bytes are text of any kind, data and code too, in any language: chance makes none.

    Args:
        text: What bytes stand for. One random byte in three is printable, so a few lines of that are no accident.
    """
    if len(text) < _LEGIBLE or not all(sign.isprintable() or sign in "\t\r\n" for sign in text):
        return False
    letters = sum(sign.isalpha() for sign in text)
    return letters >= 0.3 * len(text) and sum(len(word) > 2 for word in words_of(text)) >= _LEGIBLE_WORDS


def english(words: list[str]) -> bool:
    """Whether most of the letters are in known words, and one of these has at least four letters.

    Args:
        words: In any case.
    """
    found = [word for word in words if known(word)]
    letters = sum(map(len, found))
    return letters >= max(5, 0.6 * sum(map(len, words))) and max(map(len, found)) >= 4


def _shaped_like_words(words: list[str]) -> bool:
    if len(words) < 4 or not 2 <= sum(map(len, words)) / len(words) <= 10:
        return False
    long = [word for word in words if len(word) > 2]
    usual = sum(
        not _VOWELS.isdisjoint(unicodedata.normalize("NFD", word)) and _has_usual_case(word) for word in long
    )
    return usual >= max(3, 0.8 * len(long))


def _has_usual_case(word: str) -> bool:
    return word[1:].islower() or word.isupper() or not word.isascii()


def segmented(letters: str) -> list[str]:
    """Splits letters that stand without spaces into words, at the least cost of all ways.

    Args:
        letters: Lower case.

    Returns:
        Known words, and letters that belong to none, in order; together the letters.
    """
    table, total = ranks(), math.log(len(ranks()))
    best = [0.0]
    last = [0]
    for end in range(1, len(letters) + 1):
        choices = [(best[end - 1] + _UNKNOWN_LETTER, end - 1)]
        for start in range(max(0, end - _LONGEST), end):
            rank = table.get(letters[start:end])
            if rank is not None:
                choices.append((best[start] + math.log((rank + 1) * total), start))
        cost, start = min(choices)
        best.append(cost)
        last.append(start)
    pieces = []
    end = len(letters)
    while end:
        pieces.append(letters[last[end] : end])
        end = last[end]
    return pieces[::-1]
