"""The door of the server, in front of everything that reads: who asks, how much comes, how many are inside."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alknet_firewall.serve.problems import Problem, ProblemError, overloaded
from alknet_firewall.serve.settings import ServeSettings

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that need no key, and are answered however much there is to do."""

STREAM, PREFIX = "/v1/stream", "/ext_authz"  # a proxy asks by the name that it was asked by
_CLOSE = {"connection": "close"}  # what is left of the body is not read
_DIGITS = 19  # more are refused before they are read as a number
_POLICY_VIOLATION, _TRY_AGAIN = 1008, 1013  # of WebSockets


class Gate:
    """Refuses what must not go in, before its body is read, and what turns out too large or too slow while it is."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        """Stands before `app`."""
        self._app, self._settings = app, settings
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        problem = self._refusal(scope)
        if problem is not None:
            await refuse(problem, scope, receive, send)
        elif scope["path"] == STREAM:
            await self._app(scope, receive, send)  # which counts its streams, and what they bring
        else:
            self._inside += 1
            try:
                await self._app(scope, self._bounded(receive), send)
            finally:
                self._inside -= 1

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if not any(self._settings.keys.allow(key) for key in _keys(headers)):
            return Problem(
                401,
                "unauthorized",
                "There is no key with the request, or a wrong one.",
                "Send the header 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
                {"www-authenticate": "Bearer", **_CLOSE},
            )
        if _from_another_page(headers):
            detail = "A browser sent this from a page of another site."
            return Problem(
                403, "other-origin", detail, "Ask from a program, or from a page of this server.", _CLOSE
            )
        if (
            self._settings.local_names_only
            and not scope["path"].startswith(PREFIX)
            and not _is_local(headers)
        ):
            detail = "The server is asked by a name that is not of this machine."
            hint = "Ask 127.0.0.1 or localhost; to be asked by other names, the server needs --api-key-file."
            return Problem(421, "other-host", detail, hint, _CLOSE)
        if scope["path"] == STREAM:
            return None
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _DIGITS or int(length) > self._settings.max_bytes:
            return self._too_large()
        if self._inside >= self._settings.max_in_flight:
            return overloaded(f"{self._inside} requests are at work already.")
        return None

    def _bounded(self, receive: Receive) -> Receive:
        """`receive`, until too much has come, or for too long."""
        due, read, whole = time.monotonic() + self._settings.read_seconds, 0, False

        async def bounded() -> Message:
            nonlocal read, whole
            if whole:  # whoever asks now waits for the client to go away
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(due - time.monotonic(), 0.001))
            except asyncio.TimeoutError:
                detail = f"The body did not arrive within {self._settings.read_seconds:g} s."
                raise ProblemError(Problem(408, "slow", detail, "Send it faster, or less.", _CLOSE)) from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self._settings.max_bytes:
                raise ProblemError(self._too_large())
            return message

        return bounded

    def _too_large(self) -> Problem:
        most = self._settings.max_bytes
        return Problem(
            413,
            "too-large",
            f"The body is larger than {most} bytes.",
            "Send less at a time, stream it to /v1/stream, or start the server with a larger --max-bytes.",
            _CLOSE,
        )


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with a problem, of a WebSocket before it is open."""
    if scope["type"] == "http":
        await problem.response()(scope, receive, send)
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        response = problem.response()
        start = {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": response.raw_headers,
        }
        await send(start)
        await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
    else:  # the server makes a bare 403 of it
        code = _TRY_AGAIN if problem.status == 503 else _POLICY_VIOLATION
        await send({"type": "websocket.close", "code": code, "reason": json.dumps(problem.error)})


def _keys(headers: Headers) -> tuple[bytes | None, ...]:
    """The keys that came along: a proxy may send its own in one header, and its client's for the model in the other."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = (bearer.strip() if scheme.lower() == "bearer" else None, headers.get("x-api-key"))
    return tuple(key.encode("latin-1", "replace") if key else None for key in given)


def _is_local(headers: Headers) -> bool:
    """Whether `Host` is this machine: a page whose name was bound to 127.0.0.1 (DNS rebinding) has its own there."""
    try:
        name = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return name in ("localhost", "127.0.0.1", "::1")


def _from_another_page(headers: Headers) -> bool:
    """Whether a browser says that this comes from elsewhere: a page on the net must not ask a server on localhost."""
    scheme, _, place = headers.get("origin", "").partition("://")
    return "origin" in headers and (not scheme.startswith("http") or place != headers.get("host"))
