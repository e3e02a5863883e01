"""The audit log: a line of JSON for each verdict, from which `alknet-firewall report` makes the page of a day.

A line holds the verdict with its offsets and contributions, when, how long it took, and a hash of the text; the text
itself only if asked for. The hash has a key. Texts are often short (a name, a number, "yes"), and against a plain hash
anyone who gets hold of the log could try them out. With the key, the same text can still be found again.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from alknet_firewall.arguments import check_channel
from alknet_firewall.errors import DataError
from alknet_firewall.stream.events import event_of, text_hash
from alknet_firewall.stream.sinks import QUEUE, JsonLinesSink, Sink
from alknet_firewall.verdict import Verdict

_KEY_BYTES = 32


class AuditLog:
    """Appends verdicts to a file of JSON lines, in a thread of its own; any threads and processes may share the file.

    ```python
    with AuditLog("audit.jsonl") as audit:
        audit.write(firewall.screen(text, "tool"), text)
        firewall.conversation(sink=audit.sink).add(text)
    ```
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        text: bool = False,
        *,
        key: bytes | None = None,
        queue_size: int = QUEUE,
    ) -> None:
        """Makes sure that the file can be written to, before anything is screened.

        Args:
            path: The log; it is appended to, and may be moved away at any time.
            text: Whether the texts go along.
            key: Of the hashes, 16 bytes at least. By default it is read from the file `path` + `.key`, which is made
                at random (and readable by its owner only) if it is not there.
            queue_size: Verdicts that may wait to be written; whoever has one more waits.

        Raises:
            DataError: The log or its key cannot be read or written.
            ValueError: The key is too short.
        """
        self.path = Path(path)
        if key is not None and len(key) < 16:
            raise ValueError(f"the key of an audit log should have at least 16 bytes, not {len(key)}")
        self._open(self.path)
        self._key = key or _own_key(self.path.with_name(f"{self.path.name}.key"))
        self._sink = JsonLinesSink(
            self.path, include_text=text, include_hash=True, hash_key=self._key, queue_size=queue_size
        )

    @property
    def sink(self) -> Sink:
        """For streams and conversations: `firewall.conversation(sink=audit.sink)`."""
        return self._sink

    @property
    def errors(self) -> int:
        """Verdicts that could not be written; the first is told by `logging`."""
        return self._sink.errors

    def write(
        self,
        verdict: Verdict,
        text: str | None = None,
        channel: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Has a line written. Waits only while the queue is full; what goes wrong then is counted in `errors`.

        Args:
            verdict: As it was given.
            text: That it is about, for the hash; None where it is no longer at hand.
            channel: By default the verdict's.
            seconds: How long the verdict took.

        Raises:
            ValueError: `channel` is none of the four.
        """
        if channel is not None:
            check_channel(channel)
        event = event_of(self._sink, verdict, text, channel=channel, seconds=seconds)
        self._sink(event)

    def hash_of(self, text: str) -> str:
        """The hash that lines about `text` hold, to find them."""
        return text_hash(text, self._key)

    def close(self, timeout: float | None = None) -> None:
        """Writes what waits, and ends; as `Sink.close`."""
        self._sink.close(timeout)

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def _open(path: Path) -> None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            raise DataError(f"{path}: the audit log cannot be written ({error.strerror})") from error


def _own_key(path: Path) -> bytes:
    """The key in a file, made if it is not there; processes that start at once agree on one."""
    try:
        return _read_key(path) if path.exists() else _make_key(path)
    except OSError as error:
        raise DataError(
            f"{path}: the key of the audit log cannot be kept there ({error.strerror})"
        ) from error


def _make_key(path: Path) -> bytes:
    new = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as writing:
            writing.write(f"{secrets.token_hex(_KEY_BYTES)}\n")
        with suppress(FileExistsError):  # another process was quicker: its key is the one
            os.link(new, path)
    finally:
        new.unlink()
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as error:
        raise DataError(f"{path}: not a key in hexadecimal; give the right file, or remove it") from error
    if len(key) < 16:
        raise DataError(f"{path}: a key of {len(key)} bytes is too short; it should have at least 16")
    return key
