"""Rows with their verdicts as a file of a part, and parts put together into one file."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from alknet_firewall.batch.columns import NAMES
from alknet_firewall.batch.job import Format
from alknet_firewall.batch.rows import Rows, to_json, well_formed

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_ROWS = 1 << 16  # of a row group in a Parquet file that is put together


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Has a file written under another name, and renamed once it is whole and on the disk."""
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(new)
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def unfinished(path: Path) -> list[Path]:
    """What processes that were killed have left of a file."""
    begin, end = f".{path.name}.", ".tmp"
    found = path.parent.glob(f"{glob.escape(begin)}*{end}")
    return [half for half in found if half.name[len(begin) : -len(end)].isdigit()]


def write_text(path: Path, text: str) -> None:
    """Has a small file written, or not at all; in ASCII."""
    atomically(path, lambda new: new.write_text(text, encoding="ascii"))


def write_part(
    path: Path,
    kind: Format,
    rows: Rows,
    keep: Sequence[int],
    verdicts: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    prefix: str,
    header: bool,
) -> None:
    """Writes those rows of a part that were screened.

    Args:
        path: Of the file.
        kind: Its format.
        rows: Of the part.
        keep: Which of them, (n,).
        verdicts: The columns to add to each, (n,).
        columns: Of the whole input.
        prefix: Of the names of the columns that are added.
        header: Whether CSV is to begin with one.
    """
    if kind is Format.PARQUET:
        import pyarrow.parquet as pq

        table = _with_verdicts(rows.table(keep, columns), verdicts, prefix)
        atomically(path, lambda new: pq.write_table(table, new))
        return
    if kind is Format.CSV:
        text = _csv(rows.records(keep), verdicts, columns, prefix if header else None)
    else:
        text = "".join(
            f"{line[:-1].rstrip()}, {to_json(dict(added))[1:]}\n"
            for line, added in zip(rows.lines(keep), verdicts)
        )
    data = text.encode("utf-8", "surrogateescape")
    if kind is Format.JSONL_GZ:
        data = gzip.compress(data, mtime=0)
    atomically(path, lambda new: new.write_bytes(data))


def put_together(parts: Sequence[Path], path: Path, kind: Format) -> None:
    """Makes one file of the parts, in their order."""
    if kind is Format.PARQUET:
        atomically(path, lambda new: _join_parquet(parts, new))
    else:  # the parts of a gzipped file are whole gzip streams, which may follow each other

        def copy(new: Path) -> None:
            with new.open("wb") as out:
                for part in parts:
                    with part.open("rb") as file:
                        shutil.copyfileobj(cast("IO[bytes]", file), out, 1 << 20)

        atomically(path, copy)


def _csv(
    records: Sequence[Mapping[str, Any]],
    verdicts: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    header_prefix: str | None,
) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    if header_prefix is not None:
        writer.writerow([*map(well_formed, columns), *(f"{header_prefix}{name}" for name in NAMES)])
    for record, added in zip(records, verdicts):
        writer.writerow(
            [_cell(record.get(name)) for name in columns] + [_cell(value) for value in added.values()]
        )
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return well_formed(value)
    text = to_json(value)
    return text[1:-1] if text.startswith('"') else text  # a time, as JSON, is a string


def _with_verdicts(table: pa.Table, verdicts: Sequence[Mapping[str, Any]], prefix: str) -> pa.Table:
    import pyarrow as pa

    types = (
        pa.string(), pa.bool_(), pa.float64(), pa.float64(), pa.list_(pa.string()), pa.string(), pa.string()
    )  # fmt: skip
    for name, kind in zip(NAMES, types):
        values = [added[f"{prefix}{name}"] for added in verdicts]
        if name == "spans":
            values = [to_json(value) for value in values]
        table = table.append_column(pa.field(f"{prefix}{name}", kind), pa.array(values, kind))
    return table


def _join_parquet(parts: Sequence[Path], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[pa.Table] = []
    schema = pq.read_schema(parts[0])
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            waiting.append(pq.read_table(part, partitioning=None).cast(schema))
            if sum(table.num_rows for table in waiting) >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
