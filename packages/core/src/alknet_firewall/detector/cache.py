"""Things made once and kept in the user's cache folder: written atomically, verified before use, never required.

What is read is a regular file of this user (or of root) in a folder of this user that nobody else can write to, but for
this user's own group, with the checksum that it was written with. Anything else is made again. So a cache folder that
lies where others can write, such as `/tmp`, costs time and never decides what is computed. Whoever can act as this user
can write both content and checksum: against that no file of this user helps.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

from alknet_firewall.files import open_regular

_LARGEST_NOTE = 64 << 20  # bytes of what is read whole
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
    path = _place(kind, described)
    content = _read_verified(path)
    if content is None:
        content = make()
        try:
            _write(path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            _warn(path.parent, error)
    return content


def cached_file(kind: str, described: str, make: Callable[[], bytes], suffix: str = "") -> Path | bytes:
    """As `cached`, for what is large and can be read from a file by whoever needs it.

    The file holds the content as it is and is named after its hash; a note under the name that `cached` would use says
    which it is. So processes that start at once never see the note of one and the file of another.

    Args:
        kind: As of `cached`.
        described: As of `cached`.
        make: As of `cached`.
        suffix: What the file's name ends in.

    Returns:
        The file, verified; or the content, where the cache cannot be written.
    """
    note = _place(kind, described)
    digest = _read_verified(note)
    if digest is not None:
        path = note.with_name(digest.hex() + suffix)
        if _is_sound(path, digest):
            return path
    content = make()
    digest = hashlib.sha256(content).digest()
    path = note.with_name(digest.hex() + suffix)
    try:
        _write(path, content)
        _write(note, hashlib.sha256(digest).digest() + digest)
    except OSError as error:
        _warn(note.parent, error)
        return content
    return path


def hash_file(path: Path, total: hashlib._Hash) -> None:
    """Adds what a file holds to a hash, a piece at a time.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            total.update(piece)


def _place(kind: str, described: str) -> Path:
    return cache_folder() / kind / hashlib.sha256(described.encode()).hexdigest()


def _warn(folder: Path, error: OSError) -> None:
    _log.warning("%s cannot be written (%s): %s will be made again at each start", folder, error, folder.name)


def _write(path: Path, content: bytes) -> None:
    """As `write_atomically`, into a folder that is this user's own.

    Raises:
        OSError: It cannot be written, or the folder is not to be trusted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    why = _not_ours(path.parent)
    if why is not None:
        raise PermissionError(1, why)
    write_atomically(path, content)


def _open_ours(path: Path) -> BinaryIO | None:
    """A file of the cache, open; None where there is none that can be trusted."""
    if not os.path.lexists(path):
        return None
    why = _not_ours(path.parent) or ("it is a link" if path.is_symlink() else None)
    if why is None:
        try:
            file = open_regular(path)
        except OSError as error:
            why = error.strerror
        else:
            why = _another_owner(os.fstat(file.fileno()))
            if why is None:
                return file
            file.close()
    _log.warning("%s is not used: %s", path, why)
    return None


def _not_ours(folder: Path) -> str | None:
    """Why what lies in a folder of the cache may have been put there by somebody else; None if it may not."""
    try:
        if folder.resolve().parent != cache_folder().resolve():
            return "its folder is a link that leads out of the cache"
        above = cache_folder().stat()
        # As /tmp: nobody but its owner can put another folder in the place of ours.
        sticky = bool(above.st_mode & stat.S_ISVTX)
        return _another_owner(folder.stat()) or _another_owner(above, shared=sticky)
    except OSError as error:
        return error.strerror


def _another_owner(found: os.stat_result, *, shared: bool = False) -> str | None:
    """Why something may not be this user's alone; `shared`: that others can write to it does not matter."""
    if not hasattr(os, "geteuid"):  # Windows: the folder is in the user's profile
        return None
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to another user ({found.st_uid})"
    if shared:
        return None
    if found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid():  # this user's own group is often theirs alone
        return f"another group ({found.st_gid}) can write to it"
    return "everybody can write to it" if found.st_mode & stat.S_IWOTH else None


def _read_verified(path: Path) -> bytes | None:
    file = _open_ours(path)
    if file is None:
        return None
    try:
        with file:
            stored = file.read(_LARGEST_NOTE)
    except OSError:
        return None
    digest, content = stored[:_DIGEST_SIZE], stored[_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() == digest:
        return content
    _log.warning("%s is damaged; it is made again", path)
    return None


def _is_sound(path: Path, digest: bytes) -> bool:
    file = _open_ours(path)
    if file is None:
        return False
    total = hashlib.sha256()
    try:
        with file:
            while piece := file.read(1 << 20):
                total.update(piece)
    except OSError:
        return False
    if total.digest() != digest:
        _log.warning("%s is damaged; it is made again", path)
    return total.digest() == digest


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
