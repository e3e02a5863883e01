"""`/v1/stream`: text that is still arriving, by WebSocket, or as a request whose body goes on (events by SSE)."""

from __future__ import annotations

import codecs
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress

from fastapi import APIRouter, Request, WebSocket
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from alknet_firewall.serve import bodies
from alknet_firewall.serve.gate import STREAM
from alknet_firewall.serve.problems import Problem, ProblemError, fault
from alknet_firewall.serve.session import Event, Session, StreamQuery, Streams, error_event, timed

_log = logging.getLogger(__name__)
_CODES = {"end": 1000, "stopped": 1000}
_PROBLEM_CODES = {400: 1008, 408: 1008, 413: 1009, 422: 1007, 503: 1013}
_DESCRIPTION = """Sends text in a body of any length and any pace (UTF-8), and reads events meanwhile.

Each event is a line `data: {"event": ...}`: `verdict` (the verdict so far changed), `text` (with `hold_back`: what may
go on), and as the last one `end` or `stopped` with the verdict on the whole, or `error`. Without the last one nothing
is said about the text. In the address: `channel`, `hold_back` (`none`, `block`, `redact`, `observe`), `look_ahead`,
`clear_rate`, `max_delay_ms`. The same address takes a WebSocket: messages `{"text": "..."}`, then `{"end": true}`."""


def streaming_router(streams: Streams) -> APIRouter:
    """The routes.

    Args:
        streams: Of this server.
    """
    router = APIRouter(tags=["streams"])

    @router.post(
        STREAM,
        description=_DESCRIPTION,
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **bodies.PROBLEMS},
        openapi_extra={"requestBody": {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def post(request: Request) -> Response:
        return _Events(request, streams, _query(request.query_params))

    @router.websocket(STREAM)
    async def connect(socket: WebSocket) -> None:
        await socket.accept()
        last: Event = {}
        try:
            query = _query(socket.query_params)
            with streams.place():
                session = Session(streams, query)
                pieces = timed(_messages(socket), session, streams.settings.idle_seconds)
                async with aclosing(session.events(pieces)) as events:
                    async for last in _until_error(events):
                        await socket.send_text(json.dumps(last))
        except ProblemError as error:
            last = error_event(error.problem)
            await socket.send_text(json.dumps(last))
        except WebSocketDisconnect:
            return
        code = _CODES.get(str(last.get("event")), _PROBLEM_CODES.get(int(last.get("status", 500)), 1011))
        with suppress(RuntimeError):  # the client was quicker
            if socket.application_state is WebSocketState.CONNECTED:
                await socket.close(code, str(last.get("error", "")))

    return router


class _Events(StreamingResponse):
    """Answers while the request is still being read: nobody else may wait for what comes next."""

    def __init__(self, request: Request, streams: Streams, query: StreamQuery) -> None:
        super().__init__(self._lines(), media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._request, self._streams, self._query = request, streams, query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._streams.place():
                await self.stream_response(send)
        except ProblemError as error:
            await error.problem.response()(scope, receive, send)
        except ClientDisconnect:
            pass

    async def _lines(self) -> AsyncIterator[str]:
        session = Session(self._streams, self._query)
        pieces = timed(_decoded(self._request.stream()), session, self._streams.settings.idle_seconds)
        async with aclosing(session.events(pieces)) as events:
            async for event in _until_error(events):
                yield f"data: {json.dumps(event)}\n\n"


async def _until_error(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """Events, a problem among them as the last one; so is a fault, if the policy `on_error` is `raise`."""
    try:
        async for event in events:
            yield event
    except ProblemError as error:
        yield error_event(error.problem)
    except (ClientDisconnect, WebSocketDisconnect):
        raise
    except Exception as error:  # its message may quote the text
        _log.error("%s in a stream", type(error).__name__)
        yield error_event(fault(type(error).__name__))


def _query(given: Mapping[str, str]) -> StreamQuery:
    try:
        return StreamQuery.model_validate(dict(given))
    except ValidationError as error:
        named = ", ".join(sorted({str(one["loc"][0])[:40] for one in error.errors() if one["loc"]}))
        hint = f"Known are {', '.join(StreamQuery.model_fields)}; see /openapi.json."
        raise ProblemError(
            Problem(422, "malformed", f"In the address is wrong or unknown: {named}.", hint)
        ) from None


async def _messages(socket: WebSocket) -> AsyncIterator[str]:
    """The texts of a WebSocket's messages, until one says that it was the last."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            told = json.loads(message.get("text") or "")
            ends, text = bool(told.get("end", False)), told.get("text", "")
            if not isinstance(text, str) or not set(told) <= {"end", "text"}:
                raise ValueError
        except (ValueError, AttributeError, RecursionError):
            hint = 'Send text messages {"text": "..."}, and {"end": true} as the last one.'
            raise ProblemError(Problem(422, "malformed", "A message is not as it should be.", hint)) from None
        if text:
            yield text
        if ends:
            return


async def _decoded(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """A body as text; what is not UTF-8 becomes the replacement character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for chunk in body:
        text = decoder.decode(chunk)
        if text:
            yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest
