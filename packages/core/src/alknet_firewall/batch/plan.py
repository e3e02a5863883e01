"""What will be done, settled and checked before anything starts: files, parts, columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alknet_firewall.batch.columns import clashes
from alknet_firewall.batch.inputs import discover, source_of
from alknet_firewall.batch.job import Format, Job, need_pyarrow
from alknet_firewall.batch.kinds import joined_columns
from alknet_firewall.batch.output import Output
from alknet_firewall.batch.parts import InputFile, Part, Scan
from alknet_firewall.errors import DataError

_SUFFIXES = {
    ".jsonl": Format.JSONL, ".jsonl.gz": Format.JSONL_GZ, ".csv": Format.CSV, ".parquet": Format.PARQUET
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done.

    Attributes:
        job: As it was asked for.
        files: That are read.
        scans: Of each file.
        columns: Of all files, with kinds.
        format: Of the output.
        single: Whether the output is one file.
    """

    job: Job
    files: tuple[InputFile, ...]
    scans: tuple[Scan, ...]
    columns: Mapping[str, str]
    format: Format
    single: bool

    @property
    def parts(self) -> tuple[Part, ...]:
        """Of all files, in order."""
        return tuple(part for scan in self.scans for part in scan.parts)

    @property
    def rows(self) -> int:
        """Of all files."""
        return sum(scan.rows for scan in self.scans)

    def identity(self) -> dict[str, Any]:
        """What must not change between the beginning of a run and its end: content of the input, and settings.

        Files are known by name and content, so the folder may be moved.
        """
        job = self.job
        files = [
            {"name": Path(file.path).name, "format": file.format.value, "rows": scan.rows, "hash": scan.hash}
            for file, scan in zip(self.files, self.scans)
        ]
        names = ("text_column", "channel", "channel_column", "id_column", "prefix", "part_rows")
        settings = {name: getattr(job, name) for name in names}
        return {"input": files, "settings": {**settings, "format": self.format.value, "single": self.single}}


def make_plan(job: Job, scanned: Callable[[str], None] = lambda name: None) -> Plan:
    """Reads the input once, and checks that it can be done.

    Args:
        job: What is asked for.
        scanned: Called with the name of each file that is about to be read.

    Raises:
        DataError: An input is missing or cannot be read, a column is missing, or one would be there twice.
    """
    files = discover(job.inputs, job.input_format)
    kind, single = output_format(job, files)
    _check_places(job, Output(job.output, kind, single))
    scans: list[Scan] = []
    for number, file in enumerate(files):
        scanned(Path(file.path).name)
        scans.append(source_of(file).scan(job, number, sum(len(scan.parts) for scan in scans)))
        _check_columns(job, file, scans[-1])
    _check_alike(files, scans)
    columns = joined_columns(scan.columns for scan in scans)
    twice = clashes(columns, job.prefix)
    if twice:
        raise DataError(
            f"the input has columns of its own named {', '.join(twice)}; give the new ones a prefix, such as "
            "--prefix firewall_"
        )
    return Plan(job, tuple(files), tuple(scans), columns, kind, single)


def output_format(job: Job, files: Sequence[InputFile]) -> tuple[Format, bool]:
    """Format of the output, and whether it is one file.

    Raises:
        DataError: It takes pyarrow, which is missing, or contradicts the name of the output.
    """
    found = next((kind for suffix, kind in _SUFFIXES.items() if job.output.endswith(suffix)), None)
    if found is not None and job.output_format not in (None, found):
        raise DataError(f"{job.output}: the name says {found.value}, --format says otherwise; leave one out")
    arrow = bool(files) and all(file.format.needs_arrow for file in files)
    kind = found or job.output_format or (Format.PARQUET if arrow else Format.JSONL)
    if kind.needs_arrow:
        need_pyarrow(f"{job.output}: writing Parquet")
    return kind, found is not None


def _check_places(job: Job, written: Output) -> None:
    output = Path(job.output).resolve()
    for path in map(Path, job.inputs):
        if path.resolve() == output or (path.is_dir() and output.is_relative_to(path.resolve())):
            raise DataError(f"{job.output}: lies within the input {path}; write it to another place")
        if written.takes(path.resolve()):
            raise DataError(f"{path}: belongs to the output {job.output}; write that to another place")


def _check_columns(job: Job, file: InputFile, scan: Scan) -> None:
    missing = [name for name in job.named_columns if name not in scan.columns]
    if not missing or (file.format is Format.JSONL and not scan.rows):
        return
    there = ", ".join(_shown(name) for name in list(scan.columns)[:20]) or "none"
    option = {job.text_column: "--text-column", job.channel_column: "--channel-column"}.get(
        missing[0], "--id-column"
    )
    hint = "" if scan.columns else "; each line should be a JSON object"
    raise DataError(
        f"{file.path}: no column `{missing[0]}` in any of {scan.rows:,} rows; there are: {there}{hint}. "
        f"Name it by {option}"
    )


def _check_alike(files: Sequence[InputFile], scans: Sequence[Scan]) -> None:
    """Arrow tables keep their types, so those of all files must be the same."""
    arrow = [(file, scan) for file, scan in zip(files, scans) if file.format.needs_arrow]
    if arrow and len(arrow) < len(files):
        raise DataError(
            "Parquet and data sets cannot be screened together with other formats; screen them apart"
        )
    for file, scan in arrow[1:]:
        first, columns = arrow[0][0], arrow[0][1].columns
        if dict(scan.columns) != dict(columns):
            names = [
                name for name in {**columns, **scan.columns} if columns.get(name) != scan.columns.get(name)
            ]
            raise DataError(
                f"{file.path}: column `{_shown(names[0])}` is not as in {first.path}; screen them apart"
            )


def _shown(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}..."
