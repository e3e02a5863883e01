"""The addresses of the playground: the page, what it needs to know at first, and one text read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from alknet_firewall.engine import Engine
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.playground.about import about
from alknet_firewall.serve.playground.local import only_from_here
from alknet_firewall.serve.playground.problems import Guarded, Problem
from alknet_firewall.serve.playground.reading import Reading
from alknet_firewall.verdict import CHANNELS

MOST_CHARS = 200_000
"""Characters of a text that the page takes; longer ones are for `alknet-firewall screen --file`."""

_MOST_BYTES = 8 * MOST_CHARS  # JSON may spell a character in up to six bytes, or twice that beyond the BMP
_ASSETS = {
    "": ("index.html", "text/html; charset=utf-8"),
    **{name: (name, "text/javascript; charset=utf-8") for name in ("app.js", "show.js", "dials.js", "ask.js")},
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page wants to know: a text, its channel, and the thresholds."""

    text: str
    channel: str
    block: float
    review: float


def playground_router(firewall: Firewall) -> APIRouter:
    """The page below `/playground/`, for an app that listens on this machine only.

    Args:
        firewall: Loaded at the first request if it is not yet.

    Returns:
        Routes that refuse what does not come from a browser here: see `only_from_here`.
    """
    router = APIRouter(
        prefix="/playground",
        route_class=Guarded,
        dependencies=[Depends(only_from_here)],
        include_in_schema=False,
    )
    memory = _Memory(firewall)

    @router.get("/about.json")
    def tell() -> dict[str, Any]:
        return {**about(firewall.engine), "most_chars": MOST_CHARS}

    @router.post("/read")
    async def read(request: Request) -> Response:
        asked = _parsed(await _body(request))
        return StreamingResponse(memory.lines(asked), media_type=_LINES)

    @router.get("/{name}")
    def asset(name: str) -> Response:
        return _asset(name)

    @router.get("/")
    def page() -> Response:
        return _asset("")

    return router


class _Memory:
    """Keeps the text that was read last: when only a threshold is moved, nothing is read again."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall, self._lock = firewall, threading.Lock()
        self._last: Reading | None = None

    def lines(self, asked: Asked) -> Iterator[str]:
        """What is known after each step, as JSON, one a line; the last one has everything."""
        try:
            engine: Engine = self._firewall.engine
        except Exception as error:
            problem = {"error": "not loaded", "detail": f"the engine cannot be loaded ({type(error).__name__})"}
            yield _line({"problem": {**problem, "hint": "run: alknet-firewall doctor"}})
            return
        with self._lock:
            last = self._last
        if last is None or (last.text, last.channel) != (asked.text, asked.channel):
            last = Reading(engine, asked.text, asked.channel)
            for read, windows in last.steps():
                so_far = last.verdict(asked.block, asked.review).to_dict()
                yield _line({"read": read, "windows": windows, "verdict": {**so_far, "error": None}})
            with self._lock:
                self._last = last
        yield _line(last.shown(asked.block, asked.review))


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"


def _asset(name: str) -> Response:
    if name not in _ASSETS:
        raise Problem(404, "not found", "there is no such page", "open /playground/")
    file, kind = _ASSETS[name]
    return Response((files(__package__) / file).read_bytes(), media_type=kind)


async def _body(request: Request) -> bytes:
    """The body, never more of it than a text may have."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        # Also what keeps a form on a page from elsewhere out: it cannot send this type.
        raise Problem(415, "wrong type", "the body is not application/json", "send JSON")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _too_long()
    return bytes(body)


def _too_long() -> Problem:
    return Problem(
        413, "too long", f"the page takes {MOST_CHARS:,} characters", "use: alknet-firewall screen --file FILE"
    )


def _parsed(body: bytes) -> Asked:
    try:
        given = json.loads(body)
        asked = Asked(given["text"], given["channel"], float(given["block"]), float(given["review"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Problem(
            422, "malformed", "the body lacks text, channel, block or review", "see the page's own requests"
        ) from None
    if not isinstance(asked.text, str) or asked.channel not in CHANNELS or not 0 < asked.block <= asked.review <= 1:
        raise Problem(
            422,
            "malformed",
            "text is a string, channel one of the four, and 0 < block <= review <= 1",
            f"channels are {', '.join(CHANNELS)}",
        )
    if len(asked.text) > MOST_CHARS:
        raise _too_long()
    return asked
