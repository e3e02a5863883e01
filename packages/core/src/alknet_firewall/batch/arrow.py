"""Parquet files, and what the library `datasets` saved: Arrow tables, which keep the types of their columns."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alknet_firewall.batch.job import Job
from alknet_firewall.batch.parts import PART_BYTES, InputFile, Part, Scan, file_hash
from alknet_firewall.batch.rows import ArrowRows
from alknet_firewall.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetFile:
    """A Parquet file. No part goes over the end of a row group; a worker holds one row group at a time."""

    def __init__(self, file: InputFile) -> None:
        """Opens nothing yet."""
        self.file = file
        self._opened: Any = None
        self._group: tuple[int, pa.Table] | None = None

    def scan(self, job: Job, number: int, first_part: int) -> Scan:
        """Reads its metadata, and its content for the hash.

        Raises:
            DataError: It cannot be read, or the text column holds no text.
        """
        schema, meta = self._file().schema_arrow, self._file().metadata
        _check_schema(self.file.path, schema, job.text_column)
        parts: list[Part] = []
        start = 0
        for index in range(meta.num_row_groups):
            group = meta.row_group(index)
            columns = (group.column(i) for i in range(group.num_columns))
            n_bytes = sum(c.total_uncompressed_size for c in columns if c.path_in_schema == job.text_column)
            parts += _cut(number, first_part + len(parts), start, group.num_rows, n_bytes, job)
            start += group.num_rows
        path = Path(self.file.path)
        return Scan(tuple(parts), _types(schema), file_hash(path), path.stat().st_size, start)

    def read(self, part: Part, job: Job) -> ArrowRows:
        """The rows of a part.

        Raises:
            DataError: The file cannot be read.
        """
        meta = self._file().metadata
        ends = list(accumulate(meta.row_group(i).num_rows for i in range(meta.num_row_groups)))
        index = next(i for i, end in enumerate(ends) if part.offset < end)
        if self._group is None or self._group[0] != index:
            self._group = None  # let go of the last one first
            self._group = index, _reading(self.file.path, lambda: self._file().read_row_group(index))
        begin = part.offset - (ends[index - 1] if index else 0)
        return ArrowRows(self.file.path, part.first, self._group[1].slice(begin, part.rows))

    def _file(self) -> Any:
        if self._opened is None:
            import pyarrow.parquet as pq

            self._opened = _reading(self.file.path, lambda: pq.ParquetFile(self.file.path))
        return self._opened


class ArrowFile:
    """A file `.arrow` of a saved data set; it is mapped into memory, not read."""

    def __init__(self, file: InputFile) -> None:
        """Opens nothing yet."""
        self.file = file
        self._mapped: pa.Table | None = None

    def scan(self, job: Job, number: int, first_part: int) -> Scan:
        """Reads its schema, and its content for the hash.

        Raises:
            DataError: It cannot be read, or the text column holds no text.
        """
        table, path = self._table(), Path(self.file.path)
        _check_schema(self.file.path, table.schema, job.text_column)
        n_bytes = table.column(job.text_column).nbytes
        parts = _cut(number, first_part, 0, table.num_rows, n_bytes, job)
        return Scan(tuple(parts), _types(table.schema), file_hash(path), path.stat().st_size, table.num_rows)

    def read(self, part: Part, job: Job) -> ArrowRows:
        """The rows of a part."""
        return ArrowRows(self.file.path, part.first, self._table().slice(part.offset, part.rows))

    def _table(self) -> pa.Table:
        if self._mapped is None:
            import pyarrow as pa

            self._mapped = _reading(
                self.file.path, lambda: pa.ipc.open_stream(pa.memory_map(self.file.path)).read_all()
            )
        return self._mapped


def _cut(file: int, number: int, start: int, rows: int, n_bytes: int, job: Job) -> list[Part]:
    """Parts of equal numbers of rows, so that each has about `PART_BYTES` of text at most."""
    fits = job.part_rows if not n_bytes else min(job.part_rows, max(1, PART_BYTES * rows // n_bytes))
    return [
        Part(number + i, file, start + at, min(fits, rows - at), start + at + 1, min(fits, rows - at))
        for i, at in enumerate(range(0, rows, fits))
    ]


def _types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def _check_schema(path: str, schema: pa.Schema, name: str) -> None:
    """Raises if a column is there twice, or the one that is screened holds something else than text.

    That it is there is checked for all formats alike.
    """
    import pyarrow as pa

    twice = sorted(column for column, count in Counter(schema.names).items() if count > 1)
    if twice:
        raise DataError(f"{path}: names a column twice: {', '.join(twice[:5])}")
    if name not in schema.names:
        return
    kind = schema.field(name).type
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain)):
        raise DataError(f"{path}: column `{name}` holds {kind}, not text; name another one by --text-column")


def _reading(path: str, work: Any) -> Any:
    import pyarrow as pa

    try:
        return work()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
