"""Files of lines, plain or gzipped: read once to be cut into ranges of bytes between rows, then range by range."""

from __future__ import annotations

import gzip
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from alknet_firewall.batch.job import Job
from alknet_firewall.batch.parts import Cutter, InputFile, Part, Scan, new_hash
from alknet_firewall.batch.rows import RecordRows
from alknet_firewall.errors import DataError

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of such a file, or an empty line.

    Attributes:
        number: Of its first line, from 1.
        raw: Its bytes.
        values: By column; None for an empty line; empty for a malformed row.
        problem: What is wrong with it.
    """

    number: int
    raw: bytes
    values: dict[str, Any] | None
    problem: str | None = None


class LinesSource(ABC):
    """A file whose rows are ranges of bytes."""

    raws_are_json = False

    def __init__(self, file: InputFile) -> None:
        """Opens nothing yet."""
        self.file = file
        self._path = Path(file.path)
        self._stream: IO[bytes] | None = None

    @abstractmethod
    def preamble(self, stream: IO[bytes]) -> bytes:
        """Reads what stands before the rows."""

    @abstractmethod
    def rows(self, lines: Iterator[bytes], first: int) -> Iterator[Line]:
        """Rows and empty lines; together they have all bytes of `lines`. `first` is the number of the first line."""

    @abstractmethod
    def add_columns(self, columns: dict[str, str], row: dict[str, Any]) -> None:
        """Takes the columns of a row into account."""

    def scan(self, job: Job, number: int, first_part: int) -> Scan:
        """Reads the file from end to end.

        Raises:
            DataError: It cannot be read.
        """
        columns: dict[str, str] = {}
        hashed, rows, cutter = new_hash(), 0, Cutter(number, first_part, job.part_rows)
        with self._reading():
            stream = self._at(0)
            before = self.preamble(stream)
            hashed.update(before)
            cutter.skip(len(before))
            self.add_columns(columns, {})
            for line in self.rows(iter(stream.readline, b""), 1 + before.count(b"\n")):
                hashed.update(line.raw)
                if line.values is None:
                    cutter.skip(len(line.raw))
                    continue
                rows += 1
                self.add_columns(columns, line.values)
                cutter.add(line.number, len(line.raw), len(line.raw))
        cutter.end()
        return Scan(tuple(cutter.parts), columns, str(hashed.hexdigest()), cutter.offset, rows)

    def read(self, part: Part, job: Job) -> RecordRows:
        """The rows of a part.

        Raises:
            DataError: The file cannot be read.
        """
        with self._reading():
            data = self._at(part.offset).read(part.size)
        lines = self.rows(iter(io.BytesIO(data).readline, b""), part.first)
        rows = [line for line in lines if line.values is not None]
        return RecordRows(
            [self.file.path] * len(rows),
            [row.number for row in rows],
            [row.values or {} for row in rows],
            [row.raw.decode("utf-8", "surrogateescape") for row in rows],
            [row.problem for row in rows],
            raws_are_json=self.raws_are_json,
        )

    def _at(self, offset: int) -> IO[bytes]:
        """The file from there on. It stays open: going on in a gzipped one is cheap, going back is not."""
        if self._stream is None:
            opened = gzip.GzipFile if self._path.suffix == ".gz" else open
            self._stream = cast("IO[bytes]", opened(self._path, "rb"))
        self._stream.seek(offset)
        return self._stream

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read ({error.strerror or error})") from error
        except (EOFError, zlib.error) as error:
            raise DataError(f"{self._path}: damaged or cut off ({error})") from error
