"""Words cut in two by quotes, marks of Markdown, tags or comments, and what they are when put together.

Cuts between words are everyday text. What counts are cuts through a word: the parts are none, together they are one.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import ALPHA, MARKUP, Reading
from alknet_firewall.text.undo.words import known

_REACH = 300  # characters from one cut word to the next that it speaks for
_LONGEST_PART = 24
_SHORTEST_WORD = 4
_SHORT = 3  # letters of a part that may be a word by chance
_PREFIXES = frozenset("co de dis e ex in inter mis multi non pre re self semi sub un".split())
_CERTAIN = 3  # cut words: then what is no known word was cut as well
_QUOTES = [  # a pattern each: searched faster
    re.compile(rf"{quote}\s{{0,8}}(?:\+|\.{{1,2}}|&|\|\||~)\s{{0,8}}(?:\\?\n\s{{0,40}})?[rfbu]?[\"'`]")
    for quote in "\"'`"
]
_TAGS = re.compile(r"(?:<!--(?:(?!-->)[^<]){0,300}-->|</?[A-Za-z!][^<>]{0,200}>){1,20}")
_HOLLOW = re.compile(r"(?:<([A-Za-z]{1,10})></\1>)+")
_EDGE = re.compile(r"[*~`]{1,3}")

Joint = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A word with what cuts it.

    Attributes:
        start: Where its first part starts.
        end: Where its last part ends.
        joints: Half-open ranges of what lies between the parts.
        word: The parts together.
        compound: Whether it may be written so, as `well-known` and `co-operate`.
        hollow: Whether nothing but empty elements cut it, which show nothing: nobody needs them, in any language.
    """

    start: int
    end: int
    joints: tuple[Joint, ...]
    word: str
    compound: bool
    hollow: bool

    @property
    def telling(self) -> bool:
        """Whether it is a word only when put together."""
        return self.hollow or (not self.compound and len(self.word) >= _SHORTEST_WORD and known(self.word))


def find_splits(reading: Reading) -> Iterator[Finding]:
    """Finds words that are cut."""
    text = reading.text
    quotes = sorted(match.span() for pattern in _QUOTES for match in pattern.finditer(text))
    yield Finding("split", _put_together(reading, quotes, 1))
    if "<" in text:
        tags = [match.span() for match in _TAGS.finditer(text)]
        comments = [joint for joint in tags if text.startswith("<!--", joint[0])]
        cut = _put_together(reading, comments, 1) or _put_together(reading, tags, 2)
        yield Finding("markup", _with_others(text, cut, tags))
    yield Finding("split", _put_together(reading, list(_marks(reading)), 2))


def _marks(reading: Reading) -> Iterator[Joint]:
    """Up to three marks between two letters."""
    mark, word = reading.has(MARKUP), reading.has(ALPHA)
    for start in (np.flatnonzero(word[:-1] & mark[1:]) + 1).tolist():
        end = start + 1
        while end < min(len(mark), start + 4) and mark[end]:
            end += 1
        if end < len(word) and word[end]:
            yield start, end


def _put_together(reading: Reading, joints: Sequence[Joint], fewest: int) -> list[Edit]:
    """The edits that take joints away, where enough words near each other are cut."""
    near: list[_Cut] = []
    edits: list[Edit] = []
    for cut in _cuts(reading, joints):
        if near and cut.start - near[-1].end > _REACH:
            edits += _edits(reading.text, near, fewest)
            near = []
        near.append(cut)
    return edits + _edits(reading.text, near, fewest)


def _with_others(text: str, edits: list[Edit], joints: Sequence[Joint]) -> list[Edit]:
    """Edits, and others that take away the joints in their reach, with a space where words would run together."""
    taken = {edit.start for edit in edits}
    starts = [edit.start for edit in edits]
    others = []
    for start, end in joints:
        near = bisect(starts, start - _REACH) < bisect(starts, end + _REACH)
        if near and start not in taken:
            touches = text[start - 1 : start].isalnum() and text[end : end + 1].isalnum()
            others.append(Edit(start, end, " " if touches else ""))
    return edits + others


def _cuts(reading: Reading, joints: Iterable[Joint]) -> Iterator[_Cut]:
    mask = reading.mask(ALPHA)
    chain: list[Joint] = []
    for joint in joints:
        if mask[joint[0] - 1 : joint[0]] + mask[joint[1] : joint[1] + 1] != b"##":
            continue
        if chain and not _is_part(reading.text[chain[-1][1] : joint[0]]):
            yield from _cut(reading, chain)
            chain = []
        chain.append(joint)
    if chain:
        yield from _cut(reading, chain)


def _is_part(between: str) -> bool:
    return len(between) <= _LONGEST_PART and between.isalpha()


def _cut(reading: Reading, joints: Sequence[Joint]) -> Iterator[_Cut]:
    text, mask = reading.text, reading.mask(ALPHA)
    first, last = joints[0][0], joints[-1][1]
    start = mask.rfind(b" ", max(0, first - _LONGEST_PART), first) + 1 or max(0, first - _LONGEST_PART)
    end = mask.find(b" ", last, last + _LONGEST_PART)
    end = end if end >= 0 else min(len(text), last + _LONGEST_PART)
    if start == joints[0][0] or end == joints[-1][1]:
        return
    bounds = [start, *(place for joint in joints for place in joint), end]
    parts = [text[first:last] for first, last in zip(bounds[::2], bounds[1::2])]
    word = "".join(parts)
    if word.isalpha():
        compound = any(len(part) > _SHORT and known(part) for part in parts) or all(map(known, parts))
        compound = compound or parts[0].lower() in _PREFIXES
        hollow = all(_HOLLOW.fullmatch(text, *joint) for joint in joints)
        yield _Cut(start, end, tuple(joints), word, compound, hollow)


def _edits(text: str, near: Sequence[_Cut], fewest: int) -> list[Edit]:
    telling = {cut.word.lower() for cut in near if cut.telling}
    if len(telling) < fewest:
        return []
    edits: list[Edit] = []
    for cut in near:
        if not (cut.hollow or known(cut.word)) and (cut.compound or len(telling) < _CERTAIN):
            continue
        edits += [Edit(first, last, "") for first, last in cut.joints]
        if _EDGE.fullmatch(text, *cut.joints[0]):  # what opens **ig**nore, or closes ig**nore**
            opening = text[cut.joints[0][0] : cut.joints[0][1]]
            if text.endswith(opening, 0, cut.start):
                edits.append(Edit(cut.start - len(opening), cut.start, ""))
            elif text.startswith(opening, cut.end):
                edits.append(Edit(cut.end, cut.end + len(opening), ""))
    return edits
