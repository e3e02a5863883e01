"""Reading files that somebody else may have made: bounded, regular files only, and JSON without surprises."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

_SHOWN = 200
_DEEPEST = 64


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; a pipe or a device does not make the caller wait, or read without end.

    Raises:
        OSError: It is missing, cannot be read, or is something else than a regular file.
        ValueError: There is a NUL in the path.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bounded(path: Path, most: int) -> bytes:
    """What a regular file holds, if that is at most `most` bytes.

    Raises:
        OSError: It is missing, cannot be read, is no regular file, or is larger.
        ValueError: There is a NUL in the path.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(most + 1)  # one more: it may grow while it is read
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"{size} bytes are too many, at most {most} are read", str(path))
    return content


def parse_json(text: str | bytes) -> Any:
    """JSON as the standard has it: no key twice in one object, no NaN, no infinity; never an error but `ValueError`.

    Of two equal keys one parser takes the first and another the last: what is checked must be what is used.

    Raises:
        ValueError: It is not JSON, is not UTF-8, or is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")  # json.loads would guess, and take UTF-16 and halves of characters
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite_float
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(_DEEPEST + 1):  # whoever walks through it may recurse
        if not level:
            return value
        level = [
            one
            for holder in level
            for one in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(one, (dict, list))
        ]
    raise ValueError("nested too deeply")


def told(error: BaseException) -> str:
    """What an error says, for a message: what stood in a file comes escaped and is cut."""
    return printable(str(getattr(error, "strerror", None) or error))


def printable(text: str, most: int = _SHOWN) -> str:
    """Foreign text for a message: control characters escaped, at most about `most` characters."""
    cut = text if len(text) <= most else text[:most] + "..."
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
