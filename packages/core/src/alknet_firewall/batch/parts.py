"""An input cut into parts, and what was found out while it was cut."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alknet_firewall.batch.job import Format

PART_BYTES = 1 << 21
"""Text in a part at most, in bytes, unless a single row has more."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file, or a folder that is read as one."""

    path: str
    format: Format


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring rows of a file: what one worker screens at a time.

    Attributes:
        number: Of all parts, from 0.
        file: Number of the file, from 0.
        offset: Where it begins: in bytes; in rows of Arrow and in files of a folder.
        size: How long it is, in the same unit.
        first: Number of its first line or row, from 1.
        rows: Rows in it.
    """

    number: int
    file: int
    offset: int
    size: int
    first: int
    rows: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of a file before it is screened.

    Attributes:
        parts: In order.
        columns: Kinds of its columns, see `kinds.py`, or, of Arrow, names of types.
        hash: Of its content.
        size: In bytes.
        rows: Rows in it, malformed ones included.
    """

    parts: tuple[Part, ...]
    columns: Mapping[str, str]
    hash: str
    size: int
    rows: int


@dataclass
class Cutter:
    """Cuts the rows of a file into parts as they come by."""

    file: int
    first_number: int
    most_rows: int
    offset: int = 0
    parts: list[Part] = field(default_factory=list)
    _open: dict[str, int] = field(default_factory=dict)
    _bytes: int = 0

    def add(self, line: int, size: int, n_bytes: int) -> None:
        """A row: its number, how far it takes the offset, and how much text it may hold."""
        if not self._open:
            self._open = {"offset": self.offset, "size": 0, "first": line, "rows": 0}
        self._open["size"] += size
        self._open["rows"] += 1
        self.offset += size
        self._bytes += n_bytes
        if self._open["rows"] >= self.most_rows or self._bytes >= PART_BYTES:
            self.end()

    def skip(self, size: int) -> None:
        """Something between rows, such as an empty line."""
        self.offset += size
        if self._open:
            self._open["size"] += size

    def end(self) -> None:
        """Closes the part that is open."""
        if self._open:
            self.parts.append(Part(self.first_number + len(self.parts), self.file, **self._open))
        self._open, self._bytes = {}, 0


def new_hash() -> Any:
    """For contents of files: long and quick."""
    return hashlib.blake2b(digest_size=16)


def file_hash(path: Path) -> str:
    """Of the content of a file."""
    found = new_hash()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return str(found.hexdigest())
