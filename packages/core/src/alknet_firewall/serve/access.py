"""The outermost layer: writes a line for each request, without path, query or text, and lets no exception out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alknet_firewall.serve.gate import OPEN, refuse
from alknet_firewall.serve.problems import Problem
from alknet_firewall.serve.screener import Watcher

_log = logging.getLogger(__name__)
_BUG = Problem(
    500,
    "fault",
    "The server failed to answer.",
    "Its log names the kind of error; please report it as a defect.",
)
_OPENED, _INTERNAL_ERROR = 101, 1011  # a status of HTTP, a code of WebSockets


class Access:
    """Counts and logs requests by their route: `http /v1/screen 200 12.3 ms`."""

    def __init__(self, app: ASGIApp, watchers: Sequence[Watcher]) -> None:
        """Stands before `app`."""
        self._app, self._watchers = app, watchers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            status = _status(message) or status
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            # The kind alone: the message of an exception may quote the text.
            _log.error("%s while answering %s", type(error).__name__, route_of(scope))
            if not status:
                status = _BUG.status
                await refuse(_BUG, scope, receive, send)
            elif status == _OPENED:
                await send({"type": "websocket.close", "code": _INTERNAL_ERROR})
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        for watcher in self._watchers:
            watcher.request(route, status, seconds)
        level = logging.DEBUG if route in OPEN else logging.INFO
        _log.log(level, "%s %s %d %.1f ms", scope["type"], route, status, seconds * 1e3)


def route_of(scope: Scope) -> str:
    """The route that a request was led to, as it is declared; `-` if to none."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "-"))


def _status(message: Message) -> int | None:
    if message["type"] in ("http.response.start", "websocket.http.response.start"):
        return int(message["status"])
    return _OPENED if message["type"] == "websocket.accept" else None
