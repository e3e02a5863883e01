"""What stands at a path: which files, in which format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from alknet_firewall.batch.arrow import ArrowFile, ParquetFile
from alknet_firewall.batch.csv_files import CsvFile
from alknet_firewall.batch.folders import TextFolder
from alknet_firewall.batch.job import Format, Job, need_pyarrow
from alknet_firewall.batch.jsonl import JsonLines
from alknet_firewall.batch.parts import InputFile, Part, Scan
from alknet_firewall.batch.rows import Rows
from alknet_firewall.errors import DataError


class Source(Protocol):
    """A file that can be cut into parts and read by them."""

    file: InputFile

    def scan(self, job: Job, number: int, first_part: int) -> Scan:
        """Cuts it; `number` is that of the file, `first_part` that of its first part."""

    def read(self, part: Part, job: Job) -> Rows:
        """The rows of a part, the same ones each time."""


_SUFFIXES = {
    ".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".json": Format.JSONL, ".csv": Format.CSV, ".tsv": Format.CSV,
    ".parquet": Format.PARQUET,
}  # fmt: skip
_SOURCES: Mapping[Format, Callable[[InputFile], Source]] = {
    Format.JSONL: JsonLines,
    Format.JSONL_GZ: JsonLines,
    Format.CSV: CsvFile,
    Format.PARQUET: ParquetFile,
    Format.DATASETS: ArrowFile,
    Format.TEXT: TextFolder,
}


def source_of(file: InputFile) -> Source:
    """What reads a file.

    Raises:
        DataError: It takes pyarrow, which is missing.
    """
    if file.format.needs_arrow:
        need_pyarrow(f"{file.path}: this format")
    return _SOURCES[file.format](file)


def discover(inputs: Sequence[str], wanted: Format | None = None) -> list[InputFile]:
    """The files behind paths, in the order of the paths, and within a folder sorted.

    Args:
        inputs: Files and folders.
        wanted: Their format; None: by suffix and content.

    Raises:
        DataError: A path is missing or holds nothing that can be read.
    """
    return [file for path in inputs for file in _at(Path(path), wanted)]


def _at(path: Path, wanted: Format | None) -> list[InputFile]:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if wanted is Format.TEXT:
        return [InputFile(str(path), Format.TEXT)]
    if wanted is Format.DATASETS or (path.is_dir() and wanted is None and _is_saved(path)):
        return _saved(path)
    if path.is_file():
        return [InputFile(str(path), wanted or _format(path) or Format.TEXT)]
    files = [
        InputFile(str(one), found)
        for one in _walk(path)
        if (found := _format(one)) and wanted in (None, found)
    ]
    if files or wanted is not None:
        if not files:
            raise DataError(f"{path}: no file of format {wanted.value if wanted else ''} in this folder")
        return files
    return [InputFile(str(path), Format.TEXT)]


def _format(path: Path) -> Format | None:
    suffixes = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    return _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None


def _walk(folder: Path) -> Iterator[Path]:
    """Files of a folder and the folders in it, sorted by path; not what is hidden, or set apart by an underscore."""
    for path in sorted(folder.iterdir(), key=lambda one: one.name):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def _saved(path: Path) -> list[InputFile]:
    """The files of a saved data set, or of all its splits."""
    if (path / "dataset_dict.json").is_file():
        splits = _listed(path / "dataset_dict.json", "splits")
        return [file for split in splits for file in _split(path / Path(str(split)).name)]
    return _split(path)


def _split(path: Path) -> list[InputFile]:
    if not (path / "state.json").is_file():
        raise DataError(f"{path}: not a folder that `datasets` saved; there is no state.json")
    if _listed(path / "state.json", "_indices_data_files") or _listed(path / "state.json", "_indices_files"):
        raise DataError(
            f"{path}: the rows are chosen by an index; save it by flatten_indices().save_to_disk()"
        )
    files = _listed(path / "state.json", "_data_files")
    try:
        return [InputFile(str(path / Path(str(file["filename"])).name), Format.DATASETS) for file in files]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path / 'state.json'}: names no files; was it saved by `datasets`?") from error


def _listed(path: Path, key: str) -> list[Any]:
    """A list in a JSON file; empty if there is none.

    Raises:
        DataError: It is something else.
    """
    found = _json(path).get(key) or []
    if not isinstance(found, list):
        raise DataError(f"{path}: `{key}` should be a list")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a JSON object")
    return found
