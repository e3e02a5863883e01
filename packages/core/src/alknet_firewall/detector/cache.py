"""Things made once and kept in the user's cache folder: written atomically, verified before use, never required."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import platformdirs

_DIGEST_SIZE = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """This package's folder in the user's cache (`ALKNET_FIREWALL_CACHE` overrides it)."""
    return Path(os.environ.get("ALKNET_FIREWALL_CACHE") or platformdirs.user_cache_dir("alknet-firewall"))


def cached(kind: str, described: str, make: Callable[[], bytes]) -> bytes:
    """Returns what `make` makes, from the cache if it lies there undamaged.

    Args:
        kind: Folder in the cache, e.g. `graphs`.
        described: All that the result depends on; its hash is the file's name.
        make: Called when the cache has nothing, or something damaged. Where the cache cannot be written, it is
            called at every start (and a warning says so).
    """
    path = cache_folder() / kind / hashlib.sha256(described.encode()).hexdigest()
    content = _read_verified(path)
    if content is None:
        content = make()
        try:
            write_atomically(path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            _log.warning(
                "%s cannot be written (%s): %s will be made again at each start", path.parent, error, kind
            )
    return content


def _read_verified(path: Path) -> bytes | None:
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, content = stored[:_DIGEST_SIZE], stored[_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() == digest:
        return content
    _log.warning("%s is damaged; it is made again", path)
    return None


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to a temporary file beside `path`, then renames it: readers see all of it or nothing.

    Raises:
        OSError: The folder cannot be written to, or the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Not by tempfile: its files are the owner's alone, whatever the umask says of a file meant for others.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
