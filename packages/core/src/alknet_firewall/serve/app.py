"""Puts the application together: `create_app` is the whole of it, from the door to the routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount

from alknet_firewall import __version__
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.access import Access
from alknet_firewall.serve.envoy import ExtAuthz
from alknet_firewall.serve.gate import PREFIX, Gate
from alknet_firewall.serve.health import Loader, health_router
from alknet_firewall.serve.meters import Meters
from alknet_firewall.serve.moderations import moderations_router
from alknet_firewall.serve.problems import Problem, ProblemError, answer_problem
from alknet_firewall.serve.screener import Screener, Watcher
from alknet_firewall.serve.screening import screening_router
from alknet_firewall.serve.session import Streams
from alknet_firewall.serve.settings import ServeSettings
from alknet_firewall.serve.streaming import streaming_router
from alknet_firewall.stream.audit import AuditLog

_ABOUT = """Screens untrusted text before a language model reads it.

What cannot be screened is never answered with status 200. Errors are `application/problem+json` with `error`, `detail`
and `hint`; after a fault while screening they have the verdict of the policy `on_error`, too."""
_FLUSH = 5.0  # s that the audit log may take to write what waits


def create_app(firewall: Firewall, settings: ServeSettings | None = None) -> FastAPI:
    """The application around one firewall, which is loaded when the server starts.

    Args:
        firewall: Screens all texts; of this process alone.
        settings: Of the server; None: the defaults.

    Raises:
        DataError: The audit log cannot be written.
        ImportError: Something is asked for whose extra is not installed.
    """
    settings = settings or ServeSettings()
    meters = Meters()
    watchers: list[Watcher] = [meters]
    ends: list[Callable[[], object]] = []  # called when the server has answered everything
    if settings.otel:
        from alknet_firewall.serve import otel

        watchers.append(otel.OtelWatcher())
        ends.append(otel.flush)
    audit = None
    if settings.audit_log is not None:
        audit = AuditLog(settings.audit_log, settings.audit_text)
        ends.append(partial(audit.close, _FLUSH))
    screener = Screener(firewall, watchers, deadline_ms=settings.deadline_ms, recorder=audit)

    def batch(stage: str, windows: int, seconds: float) -> None:
        for watcher in watchers:
            watcher.batch(stage, windows, seconds)

    loader = Loader(firewall, batch, meters)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(loader.run())
        try:
            yield
        finally:
            loading.cancel()
            await asyncio.gather(*(asyncio.to_thread(end) for end in ends))

    app = FastAPI(
        title="alknet-firewall",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        # FastAPI's own traces tell paths, queries and exceptions, in which text may stand; older versions have none.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.include_router(screening_router(screener, settings.max_texts))
    app.include_router(moderations_router(screener, settings.max_texts))
    app.include_router(streaming_router(Streams(screener, settings, meters, audit.sink if audit else None)))
    app.include_router(health_router(loader, meters))
    app.router.routes.append(Mount(PREFIX, app=ExtAuthz(screener, settings.ext_authz_channel)))
    if settings.playground:
        from alknet_firewall.serve.playground.router import playground_router

        app.include_router(playground_router(firewall))
    app.add_exception_handler(ProblemError, answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_malformed)
    app.add_exception_handler(HTTPException, _answer_other)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Access, watchers=watchers)
    return app


async def _answer_malformed(request: Request, error: Exception) -> Response:
    """422: where and what, but nothing of what was sent."""
    assert isinstance(error, RequestValidationError)
    places = [{"where": ".".join(map(_named, one["loc"])), "what": str(one["msg"])} for one in error.errors()]
    detail = "The body is not JSON as the schema wants it."
    hint = "Send Content-Type: application/json; the schema and examples stand in /openapi.json."
    return Problem(422, "malformed", detail, hint, more={"places": places[:10]}).response()


async def _answer_other(request: Request, error: Exception) -> Response:
    """What the framework refuses: no such path, no such method, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    kind = {404: "no-such-path", 405: "no-such-method"}.get(error.status_code, "malformed")
    detail = str(error.detail)
    return Problem(
        error.status_code, kind, detail, "See /openapi.json.", dict(error.headers or {})
    ).response()


def _named(part: int | str) -> str:
    """A part of a place in a body: names that look like names, as a client may put anything there."""
    return str(part) if re.fullmatch(r"[\w\[\]-]{1,30}", str(part)) else "?"
