"""Pieces of text that are given names and put together by these: `a = "ign"; b = "ore"; a + b`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import english, known, words_of

_SHORT_NAME = 2  # characters: names that tell nothing, as people use to cut a sentence in pieces
_FEWEST_WORDS = 4
_VALUE = re.compile(r"[=:]\s{0,4}(?:\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'|“([^”\n]{1,200})”)")
_EQUALS = re.compile(r"=\s{0,4}[\"'“]")  # a pattern each: searched faster
_COLON = re.compile(r":\s{0,4}[\"'“]")
_LONGEST_NAME = 36
_NAME_BEFORE = re.compile(r"\w{0,30}[A-Za-z_](?!\w)")  # written backwards
_NAME = re.compile(r"[A-Za-z_]\w{0,30}")
_BETWEEN = re.compile(r"[\s+.&~{}()$,%\"'`|]{1,10}|\s(?:and|then|with|plus)\s(?:then\s)?")


def find_variables(reading: Reading) -> Iterator[Finding]:
    """Finds places where named pieces are put together to words that they are not alone."""
    text = reading.text
    if not (_EQUALS.search(text) or _COLON.search(text)):
        return
    values = _values(text)
    if sum(_may_be_a_piece(name, value) for name, value in values.items()) > 1:
        yield Finding("split", list(_joined(text, values)))


def _values(text: str) -> dict[str, str]:
    values = {}
    for value in _VALUE.finditer(text):
        before = text[max(0, value.start() - _LONGEST_NAME) : value.start()].rstrip(" \t]:")
        if name := _NAME_BEFORE.match(before[::-1]):
            values[name.group()[::-1]] = next(filter(None, value.groups()))
    return values


def _may_be_a_piece(name: str, value: str) -> bool:
    words = words_of(value)
    return len(name) <= _SHORT_NAME or any(
        value.startswith(word) or value.endswith(word) for word in words if not known(word)
    )


def _joined(text: str, values: Mapping[str, str]) -> Iterator[Edit]:
    left = len(text)  # however often the names are used, not more than the text comes of it
    for uses in _expressions(text, values):
        pieces = [values[use.group()] for use in uses]
        left -= sum(map(len, pieces))
        if left < 0:
            return
        whole = "".join(pieces)
        if _cuts_words(pieces) or _hides_a_sentence(whole, [use.group() for use in uses]):
            yield Edit(uses[0].start(), uses[-1].end(), whole)


def _expressions(text: str, values: Mapping[str, str]) -> Iterator[Sequence[re.Match[str]]]:
    """Runs of at least two names with nothing but operators between them."""
    run: list[re.Match[str]] = []
    for name in _NAME.finditer(text):
        if name.group() not in values:
            if run and name.group() in ("and", "then", "with", "plus"):
                continue
            if len(run) > 1:
                yield run
            run = []
            continue
        if run and not _BETWEEN.fullmatch(text, run[-1].end(), name.start()):
            if len(run) > 1:
                yield run
            run = []
        run.append(name)
    if len(run) > 1:
        yield run


def _cuts_words(pieces: Sequence[str]) -> bool:
    for before, after in zip(pieces, pieces[1:]):
        if before[-1:].isalpha() and after[:1].isalpha():
            parts = words_of(before)[-1], words_of(after)[0]
            if known("".join(parts)) and not all(map(known, parts)):
                return True
    return False


def _hides_a_sentence(whole: str, names: Sequence[str]) -> bool:
    words = words_of(whole)
    return len(words) >= _FEWEST_WORDS and max(map(len, names)) <= _SHORT_NAME and english(words)
