"""CSV with a header; `.tsv` is separated by tabs."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from alknet_firewall.batch import kinds
from alknet_firewall.batch.lines import BOM, Line, LinesSource
from alknet_firewall.batch.parts import InputFile
from alknet_firewall.errors import DataError

_LONGEST_RECORD = 64 << 20  # bytes of a record of several lines
_LONGEST_FIELD = 2**31 - 1  # the most that every platform takes


class CsvFile(LinesSource):
    """A CSV file. Malformed: rows with more or fewer fields than the header, with bytes that are not UTF-8."""

    def __init__(self, file: InputFile) -> None:
        super().__init__(file)
        csv.field_size_limit(_LONGEST_FIELD)
        self._tabs = ".tsv" in Path(file.path).suffixes
        self._names: list[str] | None = None

    def preamble(self, stream: IO[bytes]) -> bytes:
        """The header.

        Raises:
            DataError: It is missing, malformed, or names a column twice.
        """
        consumed = b""
        for line, fields in self._records(iter(stream.readline, b""), 1):
            consumed += line.raw
            if line.values is None:
                continue
            if line.problem is not None:
                raise DataError(f"{self.file.path}, line {line.number}: the header is {line.problem}")
            self._names = [
                name.removeprefix(BOM.decode("utf-8")) if i == 0 else name for i, name in enumerate(fields)
            ]
            if len(set(self._names)) < len(self._names):
                raise DataError(f"{self.file.path}, line {line.number}: the header names a column twice")
            return consumed
        raise DataError(f"{self.file.path}: empty; a CSV file begins with a header")

    def rows(self, lines: Iterator[bytes], first: int) -> Iterator[Line]:
        names = self._header()
        for line, fields in self._records(lines, first):
            if line.values is None or line.problem is not None:
                yield line
            elif len(fields) != len(names):
                yield Line(
                    line.number, line.raw, {}, f"{len(fields)} fields where the header has {len(names)}"
                )
            else:
                yield Line(line.number, line.raw, dict(zip(names, fields)))

    def add_columns(self, columns: dict[str, str], row: dict[str, Any]) -> None:
        if not columns:
            columns.update(dict.fromkeys(self._header(), kinds.STRING))

    def _header(self) -> list[str]:
        if self._names is None:
            with self._reading():
                self.preamble(self._at(0))
        return self._names or []

    def _records(self, lines: Iterator[bytes], first: int) -> Iterator[tuple[Line, list[str]]]:
        """Records with their fields, which may go over several lines; a `Line` without values is an empty one.

        Of what is no record, the first line is set aside and the others are read again: a stray quote must not take
        all that follows with it.
        """
        again: deque[bytes] = deque()
        number = first
        while True:
            taken: list[bytes] = []
            fields: list[str] = []
            problem: str | None = None
            reader = csv.reader(
                _decoded(lines, again, taken), delimiter="\t" if self._tabs else ",", strict=True
            )
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = f"not CSV ({error})"
                again.extendleft(reversed(taken[1:]))
                del taken[1:]
            if any("\udc80" <= character <= "\udcff" for character in chain(*fields)):
                problem = "not UTF-8"
            empty = not fields and problem is None
            yield Line(number, b"".join(taken), None if empty else {}, problem), fields
            number += len(taken)


def _decoded(lines: Iterator[bytes], again: deque[bytes], taken: list[bytes]) -> Iterator[str]:
    """Lines, first those that are read again; adds them to `taken`.

    Raises:
        csv.Error: They are more than a record may have: a quote that is never closed.
    """
    size = 0
    while True:
        line = again.popleft() if again else next(lines, b"")
        if not line:
            return
        taken.append(line)
        size += len(line)
        if size > _LONGEST_RECORD and len(taken) > 1:
            raise csv.Error(f"a quote that is not closed within {_LONGEST_RECORD:,} bytes")
        yield line.decode("utf-8", "surrogateescape")
