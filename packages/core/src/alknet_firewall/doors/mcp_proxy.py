"""Stands between a client and an MCP server on standard input and output, and screens what the server says.

Messages are JSON, one a line. What the client gets is written anew from what was screened, so that both can only have
read the same. What the client says goes to the server as it is.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from alknet_firewall.doors.mcp_notes import Message
from alknet_firewall.doors.mcp_screen import MessageScreen, OnAlarm
from alknet_firewall.errors import DataError
from alknet_firewall.firewall import Firewall

LONGEST = 64 << 20
"""Bytes of a message; a server that sends a longer one is ended."""

_PATIENCE = 5.0  # s that a server has to end once the client has gone


def run_proxy(
    command: Sequence[str],
    firewall: Firewall,
    on_alarm: OnAlarm,
    *,
    client: tuple[IO[bytes], IO[bytes]],
    tell: Callable[[str], None],
) -> int:
    """Starts a server and stands before it until it ends.

    Args:
        command: Of the server, with its arguments; no shell sees it.
        firewall: Loaded already: a client does not wait for it.
        on_alarm: As of `MessageScreen`.
        client: What the client writes, and what it reads.
        tell: Is told of alarms and faults, in lines without any text of the server.

    Returns:
        The server's exit status; 1 if it was ended for what it sent.

    Raises:
        DataError: The server cannot be started.
    """
    try:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        raise DataError(f"the MCP server cannot be started ({error.strerror}): {command[0]}") from error
    assert server.stdin is not None and server.stdout is not None
    pipes = _Pipes(client[1], server.stdin)
    screen = MessageScreen(firewall, on_alarm, tell)

    def listen() -> None:
        for line in _lines(client[0]):
            _pass_on(line, screen, pipes)
        pipes.close_server()
        try:
            server.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            server.terminate()

    threading.Thread(target=listen, daemon=True).start()
    try:
        sound = _relay(server.stdout, screen, pipes, tell)
    finally:
        if server.poll() is None:
            pipes.close_server()
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
    return server.wait() if sound else 1


class _Pipes:
    """Where messages are written: each whole, by one thread at a time; neither side waits for the other."""

    def __init__(self, client: IO[bytes], server: IO[bytes]) -> None:
        self._client, self._server = client, server
        self._of_client, self._of_server = threading.Lock(), threading.Lock()

    def to_client(self, message: Any) -> None:
        with self._of_client:
            self._client.write(encoded(message))
            self._client.flush()

    def to_server(self, line: bytes) -> None:
        # If it has ended, its exit status will say so.
        with self._of_server, contextlib.suppress(OSError, ValueError):
            self._server.write(line)
            self._server.flush()

    def close_server(self) -> None:
        with self._of_server, contextlib.suppress(OSError):
            self._server.close()


def _relay(source: IO[bytes], screen: MessageScreen, pipes: _Pipes, tell: Callable[[str], None]) -> bool:
    """Screens what the server says until it ends; False if what it said was no message of bounded length."""
    for line in _lines(source):
        if not line.endswith(b"\n") and len(line) >= LONGEST:
            tell(f"the server sent a message of more than {LONGEST:,} bytes: ended")
            return False
        if not line.strip():
            continue
        message = decoded(line)
        if message is None:
            tell("the server sent a line that is no message: dropped")
            continue
        for each in message if isinstance(message, list) else [message]:
            passed = screen.from_server(each)
            if passed.onward is not None:
                pipes.to_client(passed.onward)
            if passed.back is not None:
                pipes.to_server(encoded(passed.back))
    return True


def _pass_on(line: bytes, screen: MessageScreen, pipes: _Pipes) -> None:
    message = decoded(line)
    if not isinstance(message, dict):  # a batch, or what the server will complain of
        for each in message or ():
            screen.from_client(each)
        pipes.to_server(line)
        return
    passed = screen.from_client(message)
    if passed.back is not None:
        pipes.to_client(passed.back)
    else:
        pipes.to_server(line)


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: source.readline(LONGEST), b"")


def decoded(line: bytes) -> Message | list[Message] | None:
    """A message, or several; None for what is neither."""
    try:
        message = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if isinstance(message, dict):
        return message
    if isinstance(message, list) and all(isinstance(each, dict) for each in message):
        return message
    return None


def encoded(message: Message) -> bytes:
    """A message as a line, in ASCII: no character of it can be taken for the end of one."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
