"""Views of a text in which disguises are undone: what its words are once it is decoded, joined and unhidden.

A detector that reads `aWdub3Jl` or `i g n o r e` does not see the word. The finders in `undo` propose edits, each
with evidence that words come of it. All edits of a round are made together: that gives one view however many ways of
hiding are mixed. What only a renderer hides is a view of its own. Both are gone over once more, for disguises within
disguises.

A view holds the changed passages and a little around them, not the whole text, so what it costs is bounded by what
there is to undo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.text.normalise import NormalisedText, Offsets, normalise
from alknet_firewall.text.undo.capitals import find_capitals
from alknet_firewall.text.undo.ciphers import find_ciphers
from alknet_firewall.text.undo.edits import Edit, Finding, Places, applied, without_overlap
from alknet_firewall.text.undo.encodings import Decoded, find_encodings
from alknet_firewall.text.undo.escapes import find_escapes
from alknet_firewall.text.undo.hidden import find_hidden
from alknet_firewall.text.undo.leetspeak import find_leetspeak
from alknet_firewall.text.undo.lookalikes import find_lookalikes
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.spacing import find_spaced
from alknet_firewall.text.undo.splits import find_splits
from alknet_firewall.text.undo.variables import find_variables

Ranges = npt.NDArray[np.int64]

DEPTH = 2
"""Rounds of undoing."""

SPARE_CHARACTERS = 2048
"""Characters that the views of a round may have beyond the length of the text."""

_AROUND = (400, 60, 0)  # characters before and after a changed passage, as many as there is room for
_SPACE = re.compile(r"\s")
_WORD = 40  # characters that are searched for the end of a word
_BETWEEN = "\n########\n"  # so long and so odd that no finder takes two decoded stretches for one


@dataclass(frozen=True, slots=True, eq=False)
class View(NormalisedText):
    """A text in which something was undone, with the way back.

    Its `offsets` start where its first passage starts and end where its last one ends; between two passages stands a
    line feed for what was left out. They are never None.

    Attributes:
        kind: The ways of writing that were undone, in order of their first place, joined by `+`; rounds are joined
            by `>`: `base64`, `spaced+leetspeak`, `base64>escapes`.
        undone: Two half-open ranges of the original in a row, (k, 4): the words that were changed, where the view has
            all of them, and the passage of the view that they are in. What they mean stands in the view; as they are
            written they are no language, or another manner of speaking.
    """

    kind: str
    undone: Ranges = field(default_factory=lambda: np.empty((0, 4), np.int64))


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    edit: Edit


def decoded_views(text: str | NormalisedText) -> list[View]:
    """Gives the views of a text in which disguises are undone; never raises for a `str`.

    Work is linear in the length. Ordinary text takes some microseconds and has no views.

    Args:
        text: Any text, or one that is normalised already. Long text is best given in slices of 65,536 characters.

    Returns:
        At most six views, the offsets of each into the text as given (of a `NormalisedText`, into its original). They
        have at most `DEPTH * (n + SPARE_CHARACTERS)` characters in all, n those of the normalised text.
    """
    source = normalise(text) if isinstance(text, str) else text
    seen = {source.text}
    views: list[View] = []
    level: list[NormalisedText] = [source]
    for round_number in range(DEPTH):
        room = len(source.text) + SPARE_CHARACTERS
        found: list[View] = []
        for base in level:
            for view in _views_of(base, room, last=round_number == DEPTH - 1):
                if view.text.strip() and view.text not in seen:
                    seen.add(view.text)
                    found.append(view)
                    room -= len(view.text)
        views += found
        level = list(found)
    return views


def _views_of(base: NormalisedText, room: int, last: bool) -> Iterator[View]:
    """The view with all edits, and that of what is hidden."""
    if not base.text:
        return
    reading = Reading(base.text)
    changes = _changes(reading, last)
    if changes:
        ranges = _passages(base.text, changes, room)
        view = _view(base, changes, ranges, room)
        if not isinstance(base, View):  # a view of a view changes words that the text does not have
            view = replace(view, undone=_changed_words(base, changes, ranges, view))
        yield view
        room -= len(view.text)
    hidden = find_hidden(reading)
    if hidden and room > 0:
        yield _view(base, [], hidden, room)


def _changes(reading: Reading, last: bool) -> list[_Change]:
    """All edits that can be made together, by place."""
    decoded = list(find_encodings(reading))
    doubtful = [found for found in decoded if not found.certain]
    findings = [
        *find_escapes(reading),
        *_by_kind(found for found in decoded if found.certain),
        *([] if last else _by_kind(_disguised_again(doubtful))),
        *find_variables(reading),
        *find_spaced(reading),
        *find_splits(reading),
        *find_lookalikes(reading),
        *find_ciphers(reading),
        *find_leetspeak(reading),
        *find_capitals(reading),
    ]
    return [_Change(kind, edit) for kind, edit in without_overlap(findings, len(reading.text))]


def _by_kind(decoded: Iterable[Decoded]) -> list[Finding]:
    return [Finding(found.kind, [found.edit]) for found in decoded]


def _disguised_again(doubtful: Sequence[Decoded]) -> list[Decoded]:
    """Those that are disguised text themselves; all are looked through at once, so that many small ones cost little."""
    if not doubtful:
        return []
    texts = [normalise(found.edit.text).text for found in doubtful]
    ends = np.cumsum([len(text) + len(_BETWEEN) for text in texts])
    changes = _changes(Reading(_BETWEEN.join(texts)), last=True)
    of_text = np.searchsorted(ends, [change.edit.start for change in changes], side="right")
    return [doubtful[at] for at in np.unique(of_text).tolist()]


def _changed_words(
    base: NormalisedText, changes: Sequence[_Change], passages: Sequence[tuple[int, int]], view: View
) -> Ranges:
    """Where in the original the words stand that were changed, as far as the view reaches, and its passages there."""
    words: list[tuple[int, int]] = []
    for change in changes:
        start, end = change.edit.start, change.edit.end
        start = max(base.text.rfind(blank, max(0, start - _WORD), start) + 1 or start for blank in " \n")
        found = (base.text.find(blank, end, end + _WORD) for blank in " \n")
        end = min((at for at in found if at >= 0), default=end)
        if words and start <= words[-1][1] + 1:
            words[-1] = (words[-1][0], max(end, words[-1][1]))
        else:
            words.append((start, end))
    assert view.offsets is not None
    own, around = np.array(words, np.int64), np.array(passages, np.int64)
    around = around[np.maximum(np.searchsorted(around[:, 0], own[:, 0], side="right") - 1, 0)]
    found_whole = (around[:, 0] <= own[:, 0]) & (own[:, 1] <= around[:, 1])
    undone = np.hstack([base.original_spans(own), base.original_spans(around)])[found_whole]
    reach = int(view.offsets[-1])
    undone[:, 3] = np.minimum(undone[:, 3], reach)
    return undone[undone[:, 1] <= reach]


def _passages(text: str, changes: Sequence[_Change], room: int) -> list[tuple[int, int]]:
    """Ranges around the edits, as wide as there is room for; if there is none, the first edits that fit."""
    growth = sum(len(change.edit.text) - (change.edit.end - change.edit.start) for change in changes)
    for around in _AROUND:
        ranges: list[tuple[int, int]] = []
        for change in changes:
            start, end = max(0, change.edit.start - around), min(len(text), change.edit.end + around)
            if ranges and start <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
            else:
                ranges.append((start, end))
        ranges = [_between_words(text, start, end, around) for start, end in ranges]
        if sum(end - start + 1 for start, end in ranges) + growth <= room:
            break
    return ranges


def _between_words(text: str, start: int, end: int, around: int) -> tuple[int, int]:
    """A range without the words that it cuts at its ends, if that costs it no more than what is around."""
    first = _SPACE.search(text, start, start + around) if start else None
    if first:
        start = first.end()
    if end < len(text):
        cut = max(text.rfind(blank, end - around, end) for blank in " \n")
        end = cut if cut > start else end
    return start, end


def _view(
    base: NormalisedText, changes: Sequence[_Change], ranges: Sequence[tuple[int, int]], room: int
) -> View:
    """Puts ranges of a text together, with the changes made; without any, the ranges are what was hidden."""
    parts: list[str] = []
    places: list[Places] = []
    at = done = 0
    for start, end in ranges:
        if parts:
            parts.append("\n")
            places.append(np.array([done]))
        inside = at
        while inside < len(changes) and changes[inside].edit.end <= end:
            inside += 1
        part, sources = applied(base.text, [change.edit for change in changes[at:inside]], start, end)
        parts.append(part)
        places.append(sources)
        at, done = inside, end
    places.append(np.array([done]))
    plain = normalise("".join(parts))
    offsets: Offsets = np.concatenate(places)
    if plain.offsets is not None:
        offsets = offsets[plain.offsets]
    if base.offsets is not None:
        offsets = base.offsets[offsets]
    whole = offsets.astype(np.int64)
    offsets = whole[: room + 1].copy()
    if len(offsets) > 1 and offsets[-1] == offsets[-2]:  # cut within a group, or the last one is read as a whole
        behind = int(np.searchsorted(whole, offsets[-1], side="right"))
        offsets[-1] = whole[behind] if behind < len(whole) else base.original_length
    offsets.setflags(write=False)
    kind = "+".join(dict.fromkeys(change.kind for change in changes)) or "hidden"
    if isinstance(base, View):
        kind = f"{base.kind}>{kind}"
    return View(plain.text[:room], offsets, base.original_length, kind)
