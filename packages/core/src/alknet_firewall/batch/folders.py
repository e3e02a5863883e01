"""A folder of files, each one text; or a single such file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alknet_firewall.batch import kinds
from alknet_firewall.batch.job import Job
from alknet_firewall.batch.parts import Cutter, InputFile, Part, Scan, new_hash
from alknet_firewall.batch.rows import RecordRows
from alknet_firewall.errors import DataError

_PATH = "path"


class TextFolder:
    """Rows of a path and a text. Hidden files and folders are left out, links to folders not followed."""

    def __init__(self, file: InputFile) -> None:
        """Lists nothing yet."""
        self.file = file
        self._listed: list[str] | None = None

    def scan(self, job: Job, number: int, first_part: int) -> Scan:
        """Reads all files once.

        Raises:
            DataError: One cannot be read.
        """
        hashed, size, cutter = new_hash(), 0, Cutter(number, first_part, job.part_rows)
        for place, name in enumerate(self._names(), 1):
            content = self._content(name)
            hashed.update(f"{len(name)} {len(content)} ".encode() + os.fsencode(name) + content)
            size += len(content)
            cutter.add(place, 1, len(content))
        cutter.end()
        columns = {job.id_column or _PATH: kinds.STRING, job.text_column: kinds.STRING}
        return Scan(tuple(cutter.parts), columns, str(hashed.hexdigest()), size, cutter.offset)

    def read(self, part: Part, job: Job) -> RecordRows:
        """The rows of a part.

        Raises:
            DataError: A file cannot be read.
        """
        names = self._names()[part.offset : part.offset + part.size]
        values: list[dict[str, Any]] = []
        problems: list[str | None] = []
        for name in names:
            try:
                text = self._content(name).decode("utf-8-sig")
                values.append({job.id_column or _PATH: name, job.text_column: text})
                problems.append(None)
            except UnicodeDecodeError as error:
                values.append({})
                problems.append(f"not UTF-8 ({error.reason} at byte {error.start})")
        paths = [str(Path(self.file.path) / name) if name else self.file.path for name in names]
        return RecordRows(paths, [1] * len(names), values, [""] * len(names), problems)

    def _names(self) -> list[str]:
        """Paths in the folder, with `/`, sorted; of a single file its name."""
        if self._listed is None:
            root = Path(self.file.path)
            self._listed = [root.name] if root.is_file() else sorted(_files(root))
        return self._listed

    def _content(self, name: str) -> bytes:
        root = Path(self.file.path)
        path = root if root.is_file() else root / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _files(root: Path) -> list[str]:
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(folder) / name for name in files if not name.startswith("."))
        found += [path.relative_to(root).as_posix() for path in paths if path.is_file()]
    return found
