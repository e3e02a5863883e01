"""Rows cut into windows of tokens, and these into stretches: what a codebook is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.readout import stretches
from alknet_firewall.compile.rows import Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.errors import DataError
from alknet_firewall.passages import Piece, pieces
from alknet_firewall.text.normalise import normalise

IntArray = npt.NDArray[np.int64]

_LONGEST = 100_000  # characters of a row that are cut into windows; no row of a sane data set is longer


@dataclass(frozen=True)
class Corpus:
    """Rows, their windows, and the stretches of these.

    Attributes:
        rows: n rows.
        ids: Token ids of each of m windows.
        row: The row of each window, (m,), ascending.
        window: The window of each of s stretches, (s,), ascending; every window has one or more.
        start: Where stretches start among the tokens of all windows, (s + 1,), and where the last one ends.
        payload: Whether a stretch may hold the payload, (s,): true where the payload is not known.
    """

    rows: Sequence[Row]
    ids: Sequence[npt.NDArray[np.int32]]
    row: IntArray
    window: IntArray
    start: IntArray
    payload: npt.NDArray[np.bool_]

    @cached_property
    def row_of_stretch(self) -> IntArray:
        """The row of each stretch, (s,), ascending."""
        return self.row[self.window]

    def windows_of(self, rows: IntArray) -> IntArray:
        """The windows of some rows, ascending."""
        return np.flatnonzero(np.isin(self.row, rows))

    def stretches_of(self, rows: IntArray) -> IntArray:
        """The stretches of some rows, ascending."""
        return np.flatnonzero(np.isin(self.row_of_stretch, rows))

    def label(self, *labels: str) -> npt.NDArray[np.bool_]:
        """Which rows have one of `labels`, (n,)."""
        return np.array([row.label in labels for row in self.rows])


def choose_rows(rows: Sequence[Row], settings: CompileSettings) -> list[Row]:
    """At most `rows_per_source` rows of each source, label and channel, spread over groups; the order is kept."""
    generator = np.random.default_rng(settings.seed)
    cells: dict[tuple[str, str, str], list[int]] = {}
    for i, row in enumerate(rows):
        cells.setdefault((row.source, row.label, row.channel), []).append(i)
    kept: list[int] = []
    for _, members in sorted(cells.items()):
        seen: dict[str, int] = {}
        ranked = []
        for i in generator.permutation(members).tolist():
            group = rows[i].gid or str(i)
            seen[group] = seen.get(group, 0) + 1
            ranked.append((seen[group], i))  # the first of each group before the second of any
        ranked.sort(key=lambda pair: pair[0])
        kept += [i for _, i in ranked[: settings.rows_per_source]]
    return [rows[i] for i in sorted(kept)]


def cut_rows(rows: Sequence[Row], tokenizer: Tokenizer, settings: CompileSettings) -> Corpus:
    """Cuts rows into windows, as screening does, but for views of what is in disguise, of which benign text has few.

    Of a long row only some windows are kept; rows without a token are left out.
    """
    kept: list[Row] = []
    ids: list[npt.NDArray[np.int32]] = []
    owner: list[int] = []
    borders: list[IntArray] = []
    payload: list[npt.NDArray[np.bool_]] = []
    for row in rows:
        text = row.text[:_LONGEST]
        windows = list(pieces(text, tokenizer, settings.window.size, settings.window.overlap, decode=False))
        marks = _holding_payload(text, row.payload, windows)
        for i in _choose_windows([bool(own.any()) for own in marks], settings.windows_per_text):
            ids.append(windows[i].ids)
            owner.append(len(kept))
            borders.append(stretches(len(windows[i].ids), settings.stretch))
            payload.append(np.logical_or.reduceat(marks[i], borders[-1][:-1]))
        if windows:
            kept.append(row)
    if not ids:
        raise DataError("no row of a label that is compiled holds any text: there is nothing to compile from")
    counts = [len(own) - 1 for own in borders]
    start = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(own) for own in borders]))])
    return Corpus(
        kept, ids, np.array(owner, np.int64), np.repeat(np.arange(len(ids)), counts), start, np.concatenate(payload)
    )


def _holding_payload(text: str, payload: str, windows: Sequence[Piece]) -> list[npt.NDArray[np.bool_]]:
    """For each window, whether a token may be of the payload; all may where it is not found."""
    start = text.find(payload) if payload else -1
    if start < 0 and payload:  # the row may hold it in another form
        start = normalise(text).text.find(normalise(payload).text[:60])
    end = start + len(payload)
    marks = [(window.origin[:, 0] < end) & (window.origin[:, 1] > start) for window in windows]
    found = start >= 0 and any(own.any() for own in marks)
    return marks if found else [np.ones(len(window.ids), np.bool_) for window in windows]


def _choose_windows(marks: Sequence[bool], limit: int) -> list[int]:
    if len(marks) <= limit:
        return list(range(len(marks)))
    holding = [i for i, mark in enumerate(marks) if mark]
    if len(holding) > limit:
        return [holding[i] for i in np.unique(np.linspace(0, len(holding) - 1, limit).astype(int))]
    others = [i for i, mark in enumerate(marks) if not mark]
    spread: list[int] = []
    if others:
        spread = np.unique(np.linspace(0, len(others) - 1, limit - len(holding)).astype(int)).tolist()
    return sorted([*holding, *(others[i] for i in spread)])[:limit]
