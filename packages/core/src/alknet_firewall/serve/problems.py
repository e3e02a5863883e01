"""What is answered where something is wrong: a status, what it is, and what to do; never a word of the text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from alknet_firewall.verdict import Verdict

MEDIA_TYPE = "application/problem+json"
_BUSY = {"retry-after": "1"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a request, or with the server.

    Attributes:
        status: Of HTTP.
        error: What it is, in one word, for programs.
        detail: What it is, in a sentence.
        hint: What to do.
        headers: That go with the answer.
        more: Further members of the body.
    """

    status: int
    error: str
    detail: str
    hint: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "status": self.status,
            "error": self.error,
            "detail": self.detail,
            "hint": self.hint,
            **self.more,
        }

    def response(self) -> Response:
        content = json.dumps(self.body()).encode()
        return Response(content, self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


class ProblemError(HTTPException):
    """Ends a request with a problem. FastAPI passes it on, even while it reads a body, as it is an HTTPException."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail, dict(problem.headers))
        self.problem = problem


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answers a `ProblemError`."""
    assert isinstance(error, ProblemError)
    return error.problem.response()


def overloaded(detail: str, **more: Any) -> Problem:
    """Too much is asked at once."""
    hint = "Try again after the seconds of Retry-After; if it stays so, run more workers."
    return Problem(503, "overloaded", detail, hint, _BUSY, more)


def fault_of(verdict: Verdict) -> Problem | None:
    """What went wrong while a text was screened; None if nothing did. The verdict by `on_error` goes along."""
    if verdict.error is None:
        return None
    told = shown(verdict)
    return fault(str(told["error"]), verdict=told)


def shown(verdict: Verdict) -> dict[str, Any]:
    """A verdict as clients see it: of an error its kind alone, as its message may name files of the server."""
    error = None if verdict.error is None else verdict.error.partition(":")[0]
    return {**verdict.to_dict(), "error": error}


def fault(kind: str, **more: Any) -> Problem:
    """A fault while screening.

    Args:
        kind: Name of the error's class.
        more: Further members of the body.
    """
    if kind == "OverloadedError":
        return overloaded("More texts wait to be screened than this server may hold.", **more)
    if kind in ("DeadlineError", "TimeoutError"):
        detail = "The text could not be screened in the time that a request may take."
        hint = "Send shorter texts, try again when there is less to do, or allow more with --deadline-ms."
        return Problem(504, "deadline", detail, hint, _BUSY, more)
    hint = "The server's log says more. If the body has a verdict, it is that of the policy on_error, not of the text."
    return Problem(500, "fault", f"Screening failed ({kind}).", hint, {}, more)
