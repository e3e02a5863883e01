"""`/ext_authz`: answers a proxy that asks before it passes a request on, as Envoy's HTTP `ext_authz` filter does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from alknet_firewall.serve.gate import PREFIX
from alknet_firewall.serve.problems import Problem, ProblemError, fault_of
from alknet_firewall.serve.screener import Screener
from alknet_firewall.verdict import Verdict

_WITH_BODY = ("POST", "PUT", "PATCH")
# Those that agree on ASCII: a client must not be able to hide plain words by naming another one.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252"})


class ExtAuthz:
    """Screens the body of a request that a proxy shows: 200 if it may go on, 403 if not.

    An ASGI application of its own: a proxy asks with any method and any path.
    """

    path = PREFIX

    def __init__(self, screener: Screener, channel: str) -> None:
        """Bodies are screened as of `channel`: a client must not choose it."""
        self._screener, self._channel = screener, channel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ProblemError as error:
            response = error.problem.response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        if not body:
            return _without_body(request.method)
        verdict = await self._screener.screen(_text(body, request.headers), self._channel, request.headers)
        return _denied(verdict) if verdict.flagged or verdict.error else Response(b"", 200, _told(verdict))


def _without_body(method: str) -> Response:
    if method in _WITH_BODY:  # else a proxy that sends none would be told that everything is fine
        detail = f"A {method} request came without a body, so there is nothing to judge."
        hint = "Have the proxy send it: with_request_body of Envoy's ext_authz filter."
        return Problem(403, "no-body", detail, hint).response()
    return Response(b"", 200, {"x-alknet-firewall-action": "allow"})


def _denied(verdict: Verdict) -> Response:
    """403; or the status of a fault, if the policy `on_error` is to allow: then it is for the proxy to decide."""
    problem = fault_of(verdict)
    if problem is None:
        detail = "The body looks like an attack on the language model behind this proxy."
        problem = Problem(
            403, "flagged", detail, "The verdict says why.", more={"verdict": verdict.to_dict()}
        )
    status = 403 if verdict.flagged else problem.status
    headers = {**problem.headers, **_told(verdict)}
    return Problem(status, problem.error, problem.detail, problem.hint, headers, problem.more).response()


def _told(verdict: Verdict) -> dict[str, str]:
    headers = {
        "x-alknet-firewall-action": verdict.action.value,
        "x-alknet-firewall-score": f"{verdict.score:.3f}",
    }
    behaviors = ",".join(dict.fromkeys(alarm.behavior for alarm in verdict.alarms))
    if behaviors:
        headers["x-alknet-firewall-behavior"] = behaviors
    if verdict.error is not None:
        headers["x-alknet-firewall-error"] = verdict.error.partition(":")[0]
    return headers


def _text(body: bytes, headers: Headers) -> str:
    """What a body says: of JSON all strings, of a form names and values, of anything else the body as it stands.

    Raises:
        ProblemError: It cannot be read as whoever gets it will read it: compressed, cut, in a strange encoding.
    """
    if headers.get("x-envoy-auth-partial-body", "").lower() == "true":
        hint = (
            "Raise max_request_bytes of the proxy's with_request_body, and leave allow_partial_message off."
        )
        raise _unreadable("The proxy has sent a part of the body only.", hint)
    # All of them: of two that are alike, the reader behind the proxy may go by the other one.
    if any(each.strip().lower() != "identity" for each in headers.getlist("content-encoding")):
        raise _unreadable("The body is compressed.", "Send it as it is, or decompress it before this filter.")
    if len(headers.getlist("content-type")) > 1:
        raise _unreadable("The body has two content types.", "Send one.")
    try:  # whatever it says it is: its reader may not look, either
        return "\n".join(_strings(json.loads(body, object_pairs_hook=_Pairs)))
    except (ValueError, RecursionError):
        pass
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = _charset(parameters)
    if charset not in _CHARSETS:
        raise _unreadable("The body is in an encoding that is not read here.", "Send UTF-8.")
    text = body.decode(charset, "replace")
    if kind.strip() == "application/x-www-form-urlencoded":
        return "\n".join(word for pair in parse_qsl(text, keep_blank_values=True) for word in pair)
    return text


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"')
    return "utf-8"


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all its keys: of two alike, readers differ in which one they take."""


def _strings(value: Any) -> Iterator[str]:
    """All strings of a JSON value in their order, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, _Pairs):
        for key, own in value:
            yield key
            yield from _strings(own)
    elif isinstance(value, list):
        for own in value:
            yield from _strings(own)


def _unreadable(detail: str, hint: str) -> ProblemError:
    return ProblemError(Problem(415, "unreadable", detail, hint))
