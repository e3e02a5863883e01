"""What the page's addresses answer when they cannot do what was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

HEADERS = {
    # No script, style, picture or connection but our own, and no page around this one.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""On every answer."""


class Problem(Exception):
    """A request that is refused.

    Attributes:
        status: Of HTTP.
        body: `error`: in a word or two; `detail`: what was wrong, nothing of the text; `hint`: what to do.
    """

    def __init__(self, status: int, error: str, detail: str, hint: str) -> None:
        """Takes what the attributes say."""
        super().__init__(detail)
        self.status, self.body = status, {"error": error, "detail": detail, "hint": hint}


class Guarded(APIRoute):
    """A route whose problems become answers and whose answers carry the headers, in whatever app it is."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle: Callable[[Request], Any] = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                response: Response = await handle(request)
            except Problem as problem:
                response = JSONResponse(problem.body, problem.status)
            response.headers.update(HEADERS)
            return response

        return guarded
