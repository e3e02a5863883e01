"""Words whose letters stand apart: `i g n o r e`, `i.g.n.o.r.e`, a letter a line.

The separator between letters is the commonest one of a run, any other ends a word. Without another one the words are
found by a word list. Where everything stands apart for long, digits and signs too, with wider gaps for the ends of
words, that is evidence enough, unless there are English words across the gaps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.leetspeak import plain
from alknet_firewall.text.undo.lookalikes import skeleton
from alknet_firewall.text.undo.reading import WORD, Reading
from alknet_firewall.text.undo.words import english, known, prose, segmented, words_of

_FEWEST = 5  # letters that must stand apart in a row
_FEWEST_BEYOND_LATIN = 8  # letters of a script whose words are not known
_RUN = re.compile(rb" #(?: {1,5}#){4,}(?= )")  # single letters with up to five other characters between two
_ALL = re.compile(r"(?<!\S)\S(?!\S)(?:(?: {1,4}| ?\n ?)\S(?!\S))+")  # signs of any kind
_WIDE = re.compile(r" ?\n ?| {2,4}")
_FEWEST_IN_ALL, _LONGEST_IN_ALL = 24, 20  # characters of all, and of a word on average: data has long ones
_FEWEST_ENGLISH = 0.4  # of the letters, in words of three and more; code has half
_FEWEST_LETTERS = 8  # different ones; tables and boards of games have fewer
_LONGEST_WORD = 12  # on average; of more letters without another separator, words are found by the list
_SENTENCE_SIGNS = ".,;:!?"


def find_spaced(reading: Reading) -> Iterator[Finding]:
    """Finds runs of letters that stand apart and become words when joined."""
    mask = reading.mask(WORD)
    runs = list(_RUN.finditer(b" " + mask + b" "))
    if not runs:
        return
    closed = [_closed(found) for found in _ALL.finditer(reading.text) if _is_writing(found.group())]
    yield Finding("spaced", [edit for edit in closed if _has_true_gaps(edit.text)])
    edits: list[Edit] = []
    for run in runs:
        places = [at for at in range(run.start(), run.end() - 1) if mask[at] == ord("#")]
        edits += _joined(reading.text, places)
    yield Finding("spaced", edits)


def _is_writing(text: str) -> bool:
    """Whether signs that all stand apart are words: letters for the most part, most of them not alone."""
    signs = "".join(text.split())
    letters = [sign for sign in signs.lower() if sign.isalpha()]
    words = len(_WIDE.findall(text)) + 1
    if words == 1 or not max(_FEWEST_IN_ALL, 2 * words) <= len(signs) <= _LONGEST_IN_ALL * words:
        return False
    return len(letters) >= len(signs) / 2 and len(set(letters)) >= _FEWEST_LETTERS


def _has_true_gaps(text: str) -> bool:
    """Whether words end where the gaps are: there are English ones, or none would be there without the gaps either."""
    words = words_of(text)
    letters = "".join(words)
    english_letters = sum(len(word) for word in words if len(word) > 2 and known(word))
    return english_letters >= _FEWEST_ENGLISH * len(letters) or not _hidden_words(letters)


def _hidden_words(letters: str) -> list[str]:
    """The English words that letters are without gaps; empty if they are not."""
    found = segmented("".join(map(_plain, letters)))
    is_english = english(found) and sum(len(word) for word in found if len(word) > 2) >= 0.7 * len(letters)
    return found if is_english else []


def _closed(found: re.Match[str]) -> Edit:
    """Takes the single spaces out, and makes wider gaps single."""
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for gap in [*_WIDE.finditer(found.group()), None]:
        end = gap.start() if gap else len(found.group())
        word = range(done, end, 2)
        pieces += [found.group()[at] for at in word]
        places += [found.start() + at for at in word]
        if gap:
            pieces.append("\n" if "\n" in gap.group() else " ")
            places.append(found.start() + end)
            done = gap.end()
    return Edit(found.start(), found.end(), "".join(pieces), tuple(places))


def _joined(text: str, places: Sequence[int]) -> list[Edit]:
    """Joins single letters; nothing unless words come of it."""
    letters = "".join(text[place] for place in places)
    if sum(map(str.isalpha, letters)) < max(_FEWEST, 0.6 * len(letters)) or list(letters) == sorted(letters):
        return []  # numbers, or an alphabet
    usual, words, signs = _split_at_other_gaps(text, places)
    if len(words) == 1 or len(letters) > _LONGEST_WORD * len(words):
        found = _hidden_words(letters)
        if found:
            words = found
            signs = {place: sign for place, sign in signs.items() if sign != " "}
    if not _make_sense(words):
        return []
    begins = set(accumulate(map(len, words)))
    pieces, sources = [letters[0]], [places[0]]
    for at, (before, place) in enumerate(zip(places, places[1:]), start=1):
        sign = signs.get(place, " " if at in begins else "")
        pieces += (sign, letters[at])
        sources += [before + 1] * len(sign) + [place]
    end = places[-1] + 1
    after = end + len(usual)
    if usual and text.startswith(usual, end) and after < len(text) and text[after] in _SENTENCE_SIGNS:
        end = after  # the sign that ends the sentence stands apart as well
    return [Edit(places[0], end, "".join(pieces), tuple(sources))]


def _split_at_other_gaps(text: str, places: Sequence[int]) -> tuple[str, list[str], dict[int, str]]:
    """The usual gap, the words, and what stands before the letter at a place that begins a word but the first."""
    gaps = [text[place + 1 : after] for place, after in zip(places, places[1:])]
    usual, times = Counter(gaps).most_common(1)[0]
    if 2 * times < len(gaps):  # no rule in it
        return "", ["".join(text[place] for place in places)], {}
    words, signs = [text[places[0]]], {}
    for gap, after in zip(gaps, places[1:]):
        if gap == usual:
            words[-1] += text[after]
        else:
            ends = (sign for sign in gap if sign in _SENTENCE_SIGNS and sign not in usual)
            signs[after] = "".join(ends) + " "
            words.append(text[after])
    return usual, words, signs


def _make_sense(words: list[str]) -> bool:
    """Whether they are English, or look like words of another language; other scripts take more letters."""
    if english(["".join(map(_plain, word)) for word in words]):
        return True
    letters = sum(map(len, words))
    latin = any(map(str.isascii, "".join(words)))
    return letters >= (3 * len(words) if latin else _FEWEST_BEYOND_LATIN) and prose(" ".join(words))


def _plain(letter: str) -> str:
    """The Latin letter that a letter or sign stands for: one character for one."""
    return (skeleton(plain(letter.lower())) or letter)[0]
