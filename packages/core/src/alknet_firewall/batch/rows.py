"""Rows of a part as they were read, in whatever form, and what writers ask of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alknet_firewall.batch import kinds

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(ABC):
    """Rows of a part.

    Attributes:
        files: Where each comes from.
        numbers: The line at which each begins, or its number in the file, from 1.
        problems: Why a row cannot be read; None if it can.
    """

    files: Sequence[str]
    numbers: Sequence[int]
    problems: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.numbers)

    @abstractmethod
    def column(self, name: str) -> Sequence[Any]:
        """Values of a column, None where a row has none."""

    @abstractmethod
    def raw(self, index: int) -> str:
        """A row as it stands there, to be set aside."""

    @abstractmethod
    def records(self, keep: Sequence[int]) -> list[dict[str, Any]]:
        """Those rows as dictionaries."""

    @abstractmethod
    def table(self, keep: Sequence[int], columns: Mapping[str, str]) -> pa.Table:
        """Those rows as an Arrow table with the columns that the whole input has."""

    def lines(self, keep: Sequence[int]) -> list[str]:
        """Those rows as JSON objects, each on one line."""
        return [to_json(record) for record in self.records(keep)]


class RecordRows(Rows):
    """Rows that were read as dictionaries."""

    def __init__(
        self,
        files: Sequence[str],
        numbers: Sequence[int],
        values: Sequence[dict[str, Any]],
        raws: Sequence[str],
        problems: Sequence[str | None],
        *,
        raws_are_json: bool = False,
    ) -> None:
        """All of the same length; a row with a problem has an empty dictionary.

        With `raws_are_json` the rows are written to JSON lines as they stood there, byte for byte.
        """
        self.files, self.numbers, self.problems = files, numbers, problems
        self._values, self._raws, self._raws_are_json = values, raws, raws_are_json

    def column(self, name: str) -> Sequence[Any]:
        return [value.get(name) for value in self._values]

    def raw(self, index: int) -> str:
        return self._raws[index]

    def records(self, keep: Sequence[int]) -> list[dict[str, Any]]:
        return [self._values[i] for i in keep]

    def lines(self, keep: Sequence[int]) -> list[str]:
        return [self._raws[i].strip() for i in keep] if self._raws_are_json else super().lines(keep)

    def table(self, keep: Sequence[int], columns: Mapping[str, str]) -> pa.Table:
        import pyarrow as pa

        types = {
            kinds.NULL: pa.string(), kinds.BOOL: pa.bool_(), kinds.INT: pa.int64(), kinds.FLOAT: pa.float64(),
            kinds.STRING: pa.string(), kinds.JSON: pa.string(),
        }  # fmt: skip
        arrays = {
            well_formed(name): pa.array([_cell(self._values[i].get(name), kind) for i in keep], types[kind])
            for name, kind in columns.items()
        }
        return pa.table(arrays)


class ArrowRows(Rows):
    """Rows of an Arrow table."""

    def __init__(self, file: str, first: int, table: pa.Table) -> None:
        """A slice of a file's table; `first` is the number of its first row, from 1."""
        self.files = [file] * table.num_rows
        self.numbers = range(first, first + table.num_rows)
        self.problems = _damage(table)
        self._table = table
        self._whole = not any(self.problems)

    def column(self, name: str) -> Sequence[Any]:
        column = self._table.column(name)
        if self._whole:
            return list(column.to_pylist())
        return [None if problem else column[i].as_py() for i, problem in enumerate(self.problems)]

    def raw(self, index: int) -> str:
        row = self._table.slice(index, 1)
        if self.problems[index] is None:
            return to_json(row.to_pylist()[0])
        # What is broken has no form as text: the value of Arrow, as far as that tells it.
        return to_json({name: _told(row.column(name)[0]) for name in row.column_names})

    def records(self, keep: Sequence[int]) -> list[dict[str, Any]]:
        return list(self._kept(keep).to_pylist())

    def table(self, keep: Sequence[int], columns: Mapping[str, str]) -> pa.Table:
        return self._kept(keep)

    def _kept(self, keep: Sequence[int]) -> pa.Table:
        import pyarrow as pa

        whole = len(keep) == self._table.num_rows
        return self._table if whole else self._table.take(pa.array(keep, pa.int64()))


def _damage(table: pa.Table) -> list[str | None]:
    """By row, whether it holds what breaks Arrow's own rules: text that is not UTF-8, as some writers leave it."""
    if _sound(table):
        return [None] * table.num_rows
    broken = "holds a value that is not valid, such as text that is not UTF-8"
    return [None if _sound(table.slice(i, 1)) else broken for i in range(table.num_rows)]


def _sound(table: pa.Table) -> bool:
    import pyarrow as pa

    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _told(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return bytes(value.as_buffer())


def to_json(value: object) -> str:
    """JSON in ASCII; what JSON has no form for becomes a string: times in ISO 8601, bytes in base64."""
    return json.dumps(value, default=_plain)


def well_formed(text: str) -> str:
    """The text as UTF-8 can hold it: lone surrogates, which files other than JSON have no form for, are replaced."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == kinds.JSON:
        return to_json(value)
    if kind == kinds.FLOAT:
        return float(value)
    return well_formed(value) if isinstance(value, str) else value


def _plain(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode("ascii")
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
