"""A canary, and a watch on every place where it must not turn up: logs, output, files."""

from __future__ import annotations

import base64
import logging
import secrets
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FOLDERS = ("cache", "tmp", "home", "work")


def new_canary() -> str:
    """A word that was never written before."""
    return "Qu" + "".join(secrets.choice("bcdfghjklmnpqrstvwxyz") for _ in range(14))


def forms_of(canary: str) -> list[bytes]:
    """How it may be written: plain, in other letters, in hex, in UTF-16, in base64 at any place of a text."""
    raw = canary.encode()
    plain = [raw, raw.lower(), raw.upper(), raw[::-1], raw.hex().encode(), canary.encode("utf-16-le")]
    inner = [base64.b64encode(b"\0" * skipped + raw)[4:-4] for skipped in range(3)]
    return plain + inner


@dataclass
class Watch:
    """What was written anywhere since it began.

    Attributes:
        canary: The word that is looked for.
        folder: Where temporary files, the cache, home and the working folder are.
        logged: What any logger said, at any level.
    """

    canary: str
    folder: Path
    capture: pytest.CaptureFixture[str]
    logged: list[str] = field(default_factory=list)

    def holds(self, text: str) -> bool:
        """Whether the canary is in a text, in any form."""
        content = text.encode("utf-8", "surrogatepass")
        return any(form in content for form in forms_of(self.canary))

    def found(self) -> list[str]:
        """Where it turned up: the names of the places."""
        written = self.capture.readouterr()
        places = {
            "standard output": written.out,
            "standard error": written.err,
            "a log": "\n".join(self.logged),
        }
        found = [name for name, text in places.items() if self.holds(text)]
        for path in self.folder.rglob("*"):
            if path.is_file() and any(form in path.read_bytes() for form in forms_of(self.canary)):
                found.append(path.name)
            if self.holds(path.name):
                found.append(f"the name of {path.name}")
        return found


@contextmanager
def watching(folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watches while it lasts; everything that is written by default goes into `folder`."""
    for name in FOLDERS:
        (folder / name).mkdir()
    for variable, name in (("ALKNET_FIREWALL_CACHE", "cache"), ("TMPDIR", "tmp"), ("HOME", "home")):
        patch.setenv(variable, str(folder / name))
    patch.setattr("tempfile.tempdir", str(folder / "tmp"))
    patch.chdir(folder / "work")
    watch = Watch(new_canary(), folder, capture)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
            own = {key: value for key, value in vars(record).items() if key not in ("msg", "args")}
            watch.logged.append(f"{record.name} {record.getMessage()} {record.args!r} {own!r} {trace}")

    root, handler = logging.getLogger(), Keep(logging.NOTSET)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield watch
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
