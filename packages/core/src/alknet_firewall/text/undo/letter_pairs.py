"""Which letters follow each other: stretches that a cipher makes readable, found without a list of words.

Pairs of letters are nearly as telling in other languages in Latin letters as in English, from whose words they are
counted. In ROT13 that is enough. Backwards they say less, so there the signs of sentences count as well: full stops
that stand before a word, capitals that end one; in Greek and Cyrillic these are all there is.

Stretches are found as changes are in quality control: what speaks for the cipher is added up word by word, less a
little for each letter, and never falls under zero (Page, Continuous inspection schemes, Biometrika 41, 1954).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import known, ranks, words_of

_LETTERS = 26
_BORDER = _LETTERS  # beside a to z: all that is none of them
_RARE = 20  # a word is as frequent as 1 / (its rank + this), after Zipf and Mandelbrot
_UNSEEN = 1e-4  # added to the share of each pair

_LESS = (0.3, 0.1)  # nats: of each letter, in ROT13 and backwards
_ENOUGH = 20.0  # nats: of a stretch
_PAST = 15.0  # nats: a stretch has ended where so much speaks against the cipher again
_PLAIN = 3.0  # nats against it: a word that is left as it stands, so that nothing in plain sight is taken for cipher
_FEWEST_PLAIN = 4  # letters of such a word; shorter ones may be so by accident
_MOST_PLAIN = 0.2  # of the words of a stretch; more of them, and the cipher is filler around them
_SIGN = 8.0  # nats: of a capital or of a full stop
_FEWEST_LETTERS = 8  # different ones; dumps of memory have six
_USUAL_CASE = 0.75  # of the words; keys and base64 have less
_FEWEST_WORDS = 3  # English backwards, where no sign of a sentence says so

_AT_ENDS = re.compile(r"^\W+|\W+$")
_CASED = 0x530  # code points of Latin, Greek and Cyrillic lie under this
_UPPER, _LOWER, _STOP, _BLANK = 1, 2, 4, 8
_LETTER = _UPPER | _LOWER

Evidence = npt.NDArray[np.float64]


class Stretch(NamedTuple):
    """A half-open range of a text, whole words of which a cipher makes sense."""

    start: int
    end: int


class LetterPairs:
    """A text as pairs of letters and signs of sentences."""

    def __init__(self, reading: Reading) -> None:
        self._text = reading.text
        ids = _ids(reading.text)
        self._pairs = ids[:-1] * (_LETTERS + 1) + ids[1:]
        self._kinds = _kinds_of_points()[np.minimum(reading.points, _CASED)]
        blank = np.concatenate([[True], (self._kinds & _BLANK) != 0, [True]])
        self._starts, self._ends = np.flatnonzero(blank[:-1] & ~blank[1:]), np.flatnonzero(~blank[:-1] & blank[1:])

    def rot13(self) -> list[Stretch]:
        """Where the text is in ROT13."""
        table = _tables()[0]
        return self._stretches(table[self._pairs], None, lambda text: codecs.encode(text, "rot13"), lambda own: True)

    def backwards(self) -> list[Stretch]:
        """Where the text is written backwards, whole or word by word."""
        stops, capitals = self._signs()

        def is_told(own: Stretch) -> bool:
            # Stops alone may be those of code: `.item`, `:key`.
            english = _english_backwards(self._text[slice(*own)][::-1])
            return bool(capitals[slice(*own)].sum() > 0) or english >= _FEWEST_WORDS

        return self._stretches(_tables()[1][self._pairs], _SIGN * (stops + capitals), lambda text: text[::-1], is_told)

    def _signs(self) -> tuple[Evidence, Evidence]:
        """At each place, (n,), 1 for a stop or a capital as in text that is backwards, -1 for one as it should be."""
        padded = np.pad(self._kinds, 2, constant_values=_BLANK)
        before_2, before, here, after, after_2 = (padded[at : at + len(self._kinds)] for at in range(5))
        stop, capital = (here & _STOP) != 0, (here & _UPPER) != 0
        no_letter_before, no_letter_after = (before & _LETTER) == 0, (after & _LETTER) == 0
        stops = np.subtract(
            stop & ((before & _BLANK) != 0) & ~no_letter_after,
            stop & ((after & _BLANK) != 0) & ~no_letter_before,
            dtype=np.float64,
        )
        capitals = np.subtract(
            capital & ((before & before_2 & _LOWER) != 0) & no_letter_after,
            capital & ((after & after_2 & _LOWER) != 0) & no_letter_before,
            dtype=np.float64,
        )
        return stops, capitals

    def _stretches(
        self,
        pairs: Evidence,
        signs: Evidence | None,
        read: Callable[[str], str],
        is_told: Callable[[Stretch], bool],
    ) -> list[Stretch]:
        """Maximal runs of words for which evidence adds up to enough, without words that are plain as they stand.

        Args:
            pairs: Evidence of each place and the one before it, (n - 1,).
            signs: Further evidence of each place, (n,).
            read: Reads a cipher.
            is_told: Whether a run is to be believed.
        """
        if not len(self._starts):
            return []
        of_pairs = np.add.reduceat(np.concatenate([[0.0], pairs]), self._starts)  # with the blanks behind a word
        of_word = of_pairs if signs is None else of_pairs + np.add.reduceat(signs, self._starts)
        total = np.cumsum(of_word)
        if (total - np.minimum.accumulate(np.minimum(total, 0))).max() < _ENOUGH:
            return []  # nearly every text
        found: list[Stretch] = []
        for first, last in _runs(of_word.tolist()):
            run = self._between(first, last)
            if not (_is_written(read(self._text[slice(*run)])) and is_told(run)):
                continue
            plain = [at for at in range(first, last + 1) if self._is_plain(at, float(of_pairs[at]), read)]
            if len(plain) <= _MOST_PLAIN * (last + 1 - first):  # or else what is plain is what it is about
                borders = pairwise([first - 1, *plain, last + 1])
                found += [self._between(low + 1, high - 1) for low, high in borders if high > low + 1]
        return found

    def _between(self, first: int, last: int) -> Stretch:
        """From one word to another."""
        return Stretch(int(self._starts[first]), int(self._ends[last]))

    def _is_plain(self, at: int, evidence: float, read: Callable[[str], str]) -> bool:
        word = _AT_ENDS.sub("", self._text[slice(*self._between(at, at))])
        if len(word) < _FEWEST_PLAIN:
            return False
        return evidence < -_PLAIN or (known(word) and not known(read(word)))


@lru_cache(maxsize=1)
def _tables() -> tuple[Evidence, Evidence]:
    """For each pair, (27 * 27,) each, how much likelier it is in ROT13, and backwards: logarithms of ratios."""
    words = " ".join(ranks())
    ids = _ids(words)
    rank = np.cumsum(ids == _BORDER)  # near enough for a word with a sign in it, of which there are few
    counts = np.zeros((_LETTERS + 1, _LETTERS + 1))
    np.add.at(counts, (ids[:-1], ids[1:]), 1 / (rank[1:] + _RARE))
    joint = counts / counts.sum() + _UNSEEN
    follows = np.log(joint / joint.sum(1, keepdims=True))
    turned = np.array([*((at + 13) % _LETTERS for at in range(_LETTERS)), _BORDER])
    tables = follows[np.ix_(turned, turned)] - follows, np.log(joint).T - np.log(joint)
    for table, less in zip(tables, _LESS):
        table[:, :_BORDER] -= less
        table[_BORDER, _BORDER] = 0
    return tables[0].ravel(), tables[1].ravel()


def _ids(text: str) -> npt.NDArray[np.intp]:
    ids = (np.frombuffer(text.encode("latin-1", "replace"), np.uint8) | 0x20).astype(np.intp) - ord("a")  # lower case
    ids[(ids < 0) | (ids >= _LETTERS)] = _BORDER
    return ids


@lru_cache(maxsize=1)
def _kinds_of_points() -> npt.NDArray[np.uint8]:
    """Flags of the code points under `_CASED`, and 0 for the one that stands for all others."""
    signs = [chr(point) for point in range(_CASED)]
    kinds = [
        _UPPER * sign.isupper() + _LOWER * sign.islower() + _STOP * (sign in ".,;:!?") + _BLANK * sign.isspace()
        for sign in signs
    ]
    return np.array([*kinds, 0], np.uint8)


def _runs(evidence: list[float]) -> list[tuple[int, int]]:
    """First and last place of each run."""
    found: list[tuple[int, int]] = []
    total = best = 0.0
    first = last = 0
    for at, one in enumerate([*evidence, -np.inf]):
        if total <= 0:
            total, best, first = 0.0, 0.0, at
        total += one
        if total > best:
            best, last = total, at
        elif total <= 0 or best - total > _PAST:
            if best >= _ENOUGH:
                found.append((first, last))
            total = 0.0
    return found


def _is_written(text: str) -> bool:
    """Whether a stretch, read forwards, is words or their like: no dump, no key, no letter over and over."""
    letters = [sign for sign in text if sign.islower() or sign.isupper()]
    if len({sign.lower() for sign in letters}) < _FEWEST_LETTERS or 2 * len(letters) < len("".join(text.split())):
        return False
    words = [word for word in words_of(text) if len(word) > 2]
    return sum(word[1:].islower() or word.isupper() for word in words) >= _USUAL_CASE * len(words)


def _english_backwards(text: str) -> int:
    """How many more words of a text that was turned round are English than are so from behind."""
    words = [word for word in words_of(text) if len(word) > 2]
    return sum(known(word) - known(word[::-1]) for word in words)
