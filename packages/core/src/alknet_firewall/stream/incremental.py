"""Screens a text while it arrives: a token goes through the detector once, and the last verdict is that of the whole.

Two readings go side by side. The one that counts cuts the text as `screen` does, in slices of 65,536 characters, each
once it is complete. The other runs ahead of it, over stretches that end between words, so that windows are judged as
soon as they are full. What was computed ahead is used again where both come to the same window, which is nearly always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alknet_firewall.behavior import Evidence
from alknet_firewall.detector.growing import GrowingText
from alknet_firewall.engine import Engine, Tally
from alknet_firewall.passages import SLICE_CHARS, Cutter, Piece, marked, view_pieces
from alknet_firewall.stream.memory import SharedMemory
from alknet_firewall.stream.stretches import STRETCH, stable_end
from alknet_firewall.text.decode import View, decoded_views
from alknet_firewall.text.windows import slices
from alknet_firewall.verdict import Verdict

Found = Mapping[str, Evidence]

_DECODED_CHARS = 4096  # of the text so far, from its end, that are searched for disguises while it grows


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in a window.

    Attributes:
        piece: The window.
        found: By behavior.
    """

    piece: Piece
    found: Found


class Screening:
    """Screens one text as it grows. Not to be shared between threads.

    Attributes:
        verdict: On the text so far: what was read of it.
        looks: Windows that are full, and views, each once, since `take_looks`.
        open_look: The last look at the window that is still open; None if there was none yet.
        length: Characters that have arrived.
    """

    def __init__(self, engine: Engine, channel: str, memory: SharedMemory, *, early: bool = True) -> None:
        """Reads nothing yet.

        Args:
            engine: What does the work.
            channel: Of the text.
            memory: Where what is kept of open windows is counted.
            early: Whether a window is looked at while it is open, too.
        """
        window = engine.codebook.window
        self._engine, self._channel, self._memory = engine, channel, memory
        # An open window is looked at when it is half full: so each is run in two calls; smaller ones keep the
        # processor less busy, and cost more a token.
        self._step = max(1, window.size // 2) if early else window.size + 1
        self._exact = Cutter(engine.detector.tokenizer, window.size, window.overlap)
        self._tally = Tally()
        self._growing = GrowingText(engine.detector.model)
        self._start = 0  # of the slice, in the text
        self._tail = ""
        self._rest: deque[str] = deque()  # has arrived, and was not looked at because of a fault
        self.length = 0
        self._run_ahead_anew()
        self.looks: list[Look] = []
        self.verdict: Verdict = engine.verdict(self._tally, channel)

    def is_due(self, text: str) -> bool:
        """Whether feeding `text` may make it compute."""
        return bool(self._rest) or len(self._tail) + len(text) >= STRETCH

    @property
    def settled(self) -> int:
        """Characters at the start that no window will read again."""
        place = self._ahead.place
        return self._start + self._taken if place is None else place

    @property
    def disguised(self) -> npt.NDArray[np.int64]:
        """Ranges of the text that were undone of late, (k, 2)."""
        return self._undone[:, :2]

    def feed(self, text: str) -> None:
        """Takes the next piece. An error loses nothing of it: after `recover` it can go on."""
        self.length += len(text)
        if self._tally.truncated:
            return  # the policy for long text has decided
        self._rest += (text[at : at + SLICE_CHARS] for at in range(0, len(text), SLICE_CHARS))
        while self._rest:
            self._tail += self._rest.popleft()
            while self._taken + len(self._tail) > SLICE_CHARS:
                self._complete_slice()
        end = stable_end(self._tail)
        if end:
            self._read_ahead(end)

    def _complete_slice(self) -> None:
        whole = self._slice()
        _, end = next(slices(whole, SLICE_CHARS))
        self._commit(whole[:end])
        self._start += end
        self._tail = whole[end:]
        if self._tally.truncated:
            self._tail = ""
            self._rest.clear()
        self._run_ahead_anew()
        self.verdict = self._engine.verdict(self._tally, self._channel)

    def finish(self) -> None:
        """There is no more: the verdict is that of `screen` on the whole."""
        if not self._tally.truncated:
            self._commit(self._slice(), last=True)
            self._start, self._tail, self._taken = self.length, "", 0
            self._parts.clear()
        self.forget()
        self.verdict = self._engine.verdict(self._tally, self._channel)

    def look_now(self) -> list[Look]:
        """Looks at all that has arrived and was not judged yet as it stands; the reading goes on as if it had not."""
        if self._ahead_tally.truncated:
            return []
        ahead = self._ahead.fork(decode=False)
        full = list(ahead.add(self._tail, self._start + self._taken))
        self._look_for_disguises(self._tail)
        last = ahead.last()
        pieces = [marked(piece, self._undone) for piece in [*full, *([] if last is None else [last])]]
        return self._assessed([piece for piece in pieces if not piece.replaced])

    def forget(self) -> None:
        """Frees what is kept of the open window."""
        self._memory.forget(self._growing)

    def recover(self) -> None:
        """Goes back to where the reading that counts has come to, losing nothing of the text; computes nothing."""
        self._tail = self._slice()
        self._run_ahead_anew()

    def take_looks(self) -> list[Look]:
        """Hands out `looks`."""
        taken, self.looks = self.looks, []
        return taken

    def _slice(self) -> str:
        return "".join([*self._parts, self._tail])

    def _run_ahead_anew(self) -> None:
        self._ahead = self._exact.fork(decode=False)
        self._ahead_tally = self._tally.copy()
        self._parts: list[str] = []
        self._taken = 0  # characters of the slice that are read ahead
        self._known: dict[int, Look] = {}
        self._views: dict[tuple[str, int], list[Look]] = {}
        self._strongest_views: dict[str, Look] = {}
        self._undone: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)
        self._looked = 0  # tokens of the open window at the last look
        self.open_look: Look | None = None
        self.forget()

    # The reading that counts.

    def _commit(self, text: str, *, last: bool = False) -> None:
        """Reads a slice as `screen` does."""
        cutter, tally = self._exact.fork(decode=True), self._tally.copy()
        looks: list[Look] = []
        unknown: list[Piece] = []
        self._engine.reaches(self._start + len(text), tally)
        for number, piece in self._cut(cutter, tally, text, last):
            known = None if number is None else self._known.get(number)
            if known is not None and _same(known.piece, piece):
                self._engine.add(tally, piece, known.found)
            elif number == self._ahead.number and self._looked:
                looks.append(Look(piece, self._grown(piece)))
            else:
                unknown.append(piece)
        looks += self._assessed(unknown)
        for look in looks:
            self._engine.add(tally, look.piece, look.found)
        self._exact, self._tally = cutter, tally
        self.looks += looks

    def _cut(self, cutter: Cutter, tally: Tally, text: str, last: bool) -> Iterator[tuple[int | None, Piece]]:
        """Windows of a slice that are to be read, with their numbers; of views without."""

        def pieces() -> Iterator[Piece]:
            yield from cutter.add(text, self._start)
            piece = cutter.last() if last else None
            if piece is not None:
                cutter.number += 1
                yield piece

        for piece in self._engine.allowed(pieces(), tally):
            yield (None if piece.decoded is not None else cutter.number - 1), piece

    # The reading that runs ahead.

    def _read_ahead(self, end: int) -> None:
        """Takes `end` characters; looks at windows that are full then, and at the open one if it has grown enough."""
        if self._ahead_tally.truncated:
            return
        first = self._ahead.number
        stretch, self._tail = self._tail[:end], self._tail[end:]
        start = self._start + self._taken
        self._parts.append(stretch)  # before anything can go wrong: what is in neither would be lost
        self._taken += end
        full = list(self._ahead.add(stretch, start))
        due = len(self._ahead) - (0 if full else self._looked) >= self._step
        if not full and not due:
            return
        self._look_for_disguises()
        self._close(first, full)
        if due and not self._ahead_tally.truncated:
            self._look_at_open()
        self.verdict = self._verdict_ahead()

    def _close(self, first: int, full: Sequence[Piece]) -> None:
        """Judges windows that have become full; the open one may be the first of them."""
        unknown: dict[int, Piece] = {}
        for number, piece in zip(range(first, first + len(full)), full):
            for allowed in self._engine.allowed([marked(piece, self._undone)], self._ahead_tally):
                if number == first and self._looked:
                    self._note(number, Look(allowed, self._grown(allowed)))
                else:
                    unknown[number] = allowed
            if self._ahead_tally.truncated:
                break
        for number, look in zip(unknown, self._assessed(list(unknown.values()))):
            self._note(number, look)
        if full:
            self._looked, self.open_look = 0, None
            self.forget()

    def _note(self, number: int, look: Look) -> None:
        self._known[number] = look
        self._engine.add(self._ahead_tally, look.piece, look.found)
        self.looks.append(look)

    def _look_at_open(self) -> None:
        piece = self._ahead.last()
        if piece is None:
            return
        piece = marked(piece, self._undone)
        self._looked = len(piece.ids)
        self.open_look = None if piece.replaced else Look(piece, self._grown(piece))

    def _grown(self, piece: Piece) -> Found:
        with self._memory.using(self._growing):
            return self._engine.assessed_growing(piece, self._channel, self._growing)

    def _assessed(self, pieces: Sequence[Piece]) -> list[Look]:
        """Looks at windows, as many at a time as go together; in their order."""
        channels = [self._channel] * len(pieces)
        found = {
            at: Look(piece, own)
            for at, piece, own in self._engine.assessed(list(enumerate(pieces)), channels)
        }
        return [found[at] for at in range(len(pieces))]

    def _look_for_disguises(self, more: str = "") -> None:
        """Undoes disguises near the end of what was taken and `more`; a view is looked at once, in each place."""
        text, start = self._recent()
        views = decoded_views(text + more)
        known, self._views = self._views, {}
        for view in views:
            place = start + (0 if view.offsets is None else int(view.offsets[0]))
            key = (view.text, place)
            self._views[key] = known.get(key) or self._look_at_view(view, start)
        undone = [view.undone + start for view in views]
        self._undone = np.concatenate(undone) if undone else np.empty((0, 4), np.int64)

    def _look_at_view(self, view: View, start: int) -> list[Look]:
        window = self._engine.codebook.window
        pieces = view_pieces(view, start, self._engine.detector.tokenizer, window.size, window.overlap)
        looks = self._assessed(list(pieces))
        self.looks += looks
        for look in looks:
            for name, evidence in look.found.items():
                best = self._strongest_views.get(name)
                if best is None or evidence.log_odds > best.found[name].log_odds:
                    self._strongest_views[name] = look
        return looks

    def _recent(self) -> tuple[str, int]:
        """The end of what was taken of the slice, and where in the text it starts."""
        chars = 0
        parts: list[str] = []
        for part in reversed(self._parts):
            parts.append(part)
            chars += len(part)
            if chars >= _DECODED_CHARS:
                break
        return "".join(reversed(parts)), self._start + self._taken - chars

    def _verdict_ahead(self) -> Verdict:
        tally = self._ahead_tally.copy()
        looks: Iterable[Look] = {id(look): look for look in self._strongest_views.values()}.values()
        for look in [*looks, *([self.open_look] if self.open_look else [])]:
            self._engine.add(tally, look.piece, look.found)
        return self._engine.verdict(tally, self._channel)

    def screened(self, text: str) -> Verdict:
        """The verdict on a text by itself, as `screen` gives it."""
        return self._engine.judge([text], [self._channel])[0]

    def alone(self, look: Look) -> Verdict:
        """The verdict on one window of this text, by itself."""
        tally = Tally()
        self._engine.add(tally, look.piece, look.found)
        tally.windows = max(1, self._ahead_tally.windows)
        return self._engine.verdict(tally, self._channel)


def _same(one: Piece, other: Piece) -> bool:
    return (
        one.text == other.text
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.offsets, other.offsets)
    )
