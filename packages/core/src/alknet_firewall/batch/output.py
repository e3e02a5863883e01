"""Where parts lie, what was done already, and how the output is completed.

A run works in a folder: the output itself, or, where that is to be one file, `OUTPUT.parts`. In it lie the parts and a
folder `_screening` with the manifest (what this run is about) and, for each part that is done, a marker with its
counts. Every file appears whole or not at all, so a kill at any moment loses at most the parts that were being worked
on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alknet_firewall.batch.job import Format
from alknet_firewall.batch.lock import locked
from alknet_firewall.batch.tally import Tally
from alknet_firewall.batch.write import put_together, unfinished, write_text
from alknet_firewall.errors import DataError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Output:
    """Places of files.

    Attributes:
        path: As it was asked for.
        format: Of the parts.
        single: Whether it is one file in the end.
    """

    path: str
    format: Format
    single: bool

    @property
    def folder(self) -> Path:
        """Where the parts lie."""
        return Path(f"{self.path}.parts") if self.single else Path(self.path)

    @property
    def notes(self) -> Path:
        """Where manifest and markers lie while the run goes on."""
        return self.folder / "_screening"

    @property
    def manifest(self) -> Path:
        """What the run is about."""
        return self.notes / "manifest.json"

    @property
    def final_manifest(self) -> Path:
        """That of a run that is complete."""
        return Path(f"{self.path}.manifest.json") if self.single else self.manifest

    @property
    def final_rejected(self) -> Path:
        """Malformed rows of the whole run."""
        return Path(f"{self.path}.rejected.jsonl") if self.single else self.notes / "rejected.jsonl"

    def takes(self, path: Path) -> bool:
        """Whether a run writes or removes what is at a path, resolved: then it must not be the input."""
        own = (Path(self.path), self.final_rejected, self.final_manifest)
        return path in [one.resolve() for one in own] or path.is_relative_to(self.folder.resolve())

    def part(self, number: int) -> Path:
        """The rows of a part."""
        return self.folder / f"part-{number:06}.{self.format.value}"

    def marker(self, number: int) -> Path:
        """Says that a part is done."""
        return self.notes / f"part-{number:06}.json"

    def rejected(self, number: int) -> Path:
        """Malformed rows of a part."""
        return self.notes / f"part-{number:06}.rejected.jsonl"

    @contextmanager
    def opened(self, *, overwrite: bool = False) -> Iterator[None]:
        """Holds the output for this run alone.

        Raises:
            DataError: Something else is there, it cannot be written to, or another run is at work on it.
        """
        path = Path(self.path)
        try:
            foreign = self.folder.exists() and not self.notes.exists() and any(self.folder.iterdir())
            if (
                foreign
                or (self.folder.exists() and not self.folder.is_dir())
                or (self.single and path.is_dir())
            ):
                raise DataError(
                    f"{self.folder if foreign else path}: something else is there; give another name"
                )
            if self.single and path.exists() and not (overwrite or self._ours()):
                raise DataError(f"{path}: is there already; give another name or --overwrite")
            self.notes.mkdir(parents=True, exist_ok=True)
            with locked(self.notes / "lock", f"{path}: another run is at work on it"):
                self._sweep()
                if overwrite:
                    self._clear()
                yield
                done = self.single and self.final_manifest.exists()
            if done:
                shutil.rmtree(self.folder, ignore_errors=True)
        except OSError as error:
            raise DataError(f"{error.filename or path}: cannot be written ({error.strerror})") from error

    def _ours(self) -> bool:
        return self.final_manifest.exists() or self.manifest.exists()

    def _clear(self) -> None:
        """Removes what an earlier run left; the output itself is replaced at the end."""
        self.final_manifest.unlink(missing_ok=True)
        self.manifest.unlink(missing_ok=True)
        for old in [*self.notes.glob("part-*"), *self.folder.glob("part-*"), self.final_rejected]:
            old.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what was half written when an earlier run was killed."""
        final = (Path(self.path), self.final_rejected, self.final_manifest)
        beside = (half for path in final for half in unfinished(path))
        for half in (*self.notes.glob(".*.tmp"), *self.folder.glob(".part-*.tmp"), *beside):
            half.unlink(missing_ok=True)

    def completed(self) -> Mapping[str, Any] | None:
        """The manifest of a run that is complete."""
        found = _read(self.final_manifest)
        there = found is not None and found.get("state") == "complete" and Path(self.path).exists()
        return found if there else None

    def begin(self, identity: Mapping[str, Any]) -> str:
        """Notes what this run is about, or makes sure that it goes on with the same.

        Returns:
            The hash that marks what belongs to this run.

        Raises:
            DataError: Another run was begun here.
        """
        known = _read(self.final_manifest) or _read(self.manifest)
        identity = json.loads(json.dumps(identity))
        if known is None:
            self._note(self.manifest, {"state": "running", **identity})
        else:
            different = list(_differences(identity, known))
            if different:
                raise DataError(
                    f"{self.path}: was begun with other settings or input ({'; '.join(different[:5])}). Go on with "
                    "those, give another name, or begin anew by --overwrite"
                )
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def done(self, number: int, run: str) -> Tally | None:
        """The counts of a part that is done."""
        marker = _read(self.marker(number))
        if marker is None or marker.get("run") != run or not self.part(number).exists():
            return None
        return Tally.from_dict(marker)

    def complete(self, parts: Sequence[int], identity: Mapping[str, Any], total: Tally) -> None:
        """Puts everything in its final place. May be begun again after a kill at any moment."""
        if self.single and parts:
            put_together([self.part(number) for number in parts], Path(self.path), self.format)
        rejected = [self.rejected(number) for number in parts if self.rejected(number).exists()]
        if rejected:
            put_together(rejected, self.final_rejected, Format.JSONL)
        self._note(self.final_manifest, {"state": "complete", **identity, "summary": total.to_dict()})
        for note in self.notes.glob("part-*"):
            note.unlink()

    def _note(self, path: Path, manifest: Mapping[str, Any]) -> None:
        write_text(path, json.dumps({"manifest": _VERSION, **manifest}, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged; begin anew by --overwrite") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: damaged; begin anew by --overwrite")
    return found


def _differences(now: Mapping[str, Any], then: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of what is not as it was."""
    for name, value in now.items():
        old = then.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from _differences(value, old, f"{above}{name}.")
        elif value != old:
            yield (
                f"{above}{name}"
                if isinstance(value, (list, dict))
                else f"{above}{name}: {old!r}, now {value!r}"
            )
