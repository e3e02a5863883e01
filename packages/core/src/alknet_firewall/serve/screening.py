"""`/v1/screen` and `/v1/screen:batch`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Request
from starlette.responses import JSONResponse, Response

from alknet_firewall.nearest import nearest_alarms
from alknet_firewall.serve import bodies
from alknet_firewall.serve.problems import Problem, ProblemError, fault_of, shown
from alknet_firewall.serve.screener import Screener
from alknet_firewall.verdict import Verdict


def screening_router(screener: Screener, max_texts: int) -> APIRouter:
    """The routes.

    Args:
        screener: Does the work.
        max_texts: Texts in one request, at most.
    """
    router, explaining = APIRouter(tags=["screening"]), asyncio.Semaphore(1)

    @router.post(
        "/v1/screen",
        response_model=bodies.VerdictBody,
        responses={200: bodies.VERDICT_EXAMPLES, **bodies.PROBLEMS},
    )
    async def screen(
        request: Request,
        asked: Annotated[bodies.ScreenRequest, Body(openapi_examples=bodies.SCREEN_EXAMPLES)],
    ) -> Response:
        """Screens one text."""
        verdict = await screener.screen(asked.text, asked.channel, request.headers)
        problem = fault_of(verdict)
        if problem is not None:
            return problem.response()
        told = verdict.to_dict()
        if asked.explain:
            # It reads the text once more: one at a time, so that others do not wait for it.
            async with explaining:
                found = await asyncio.to_thread(nearest_alarms, screener.firewall.engine, asked.text, verdict)
            alarms = replace(verdict, alarms=found).to_dict()["alarms"]
            told["nearest"] = [{**alarm, "action": "allow"} for alarm in alarms]
        return JSONResponse(told)

    @router.post(
        "/v1/screen:batch",
        response_model=bodies.BatchBody,
        responses={200: bodies.VERDICTS_EXAMPLES, **bodies.PROBLEMS},
    )
    async def screen_batch(
        request: Request,
        asked: Annotated[bodies.BatchRequest, Body(openapi_examples=bodies.BATCH_EXAMPLES)],
    ) -> Response:
        """Screens several texts, each by itself. If one cannot be screened, the status is that of its fault."""
        check_number(len(asked.items), max_texts)
        verdicts = await screener.screen_many(
            [(item.text, item.channel) for item in asked.items], request.headers
        )
        return worst_fault(verdicts) or JSONResponse(
            {"verdicts": [verdict.to_dict() for verdict in verdicts]}
        )

    return router


def check_number(texts: int, most: int) -> None:
    """Refuses a request with more texts than one may have."""
    if texts > most:
        detail = f"There are {texts} texts in the request, and {most} may be."
        raise ProblemError(Problem(413, "too-many", detail, "Send them in several requests."))


def worst_fault(verdicts: Sequence[Verdict]) -> Response | None:
    """The answer where one of several texts could not be screened, with all verdicts; None if all were."""
    for verdict in verdicts:
        problem = fault_of(verdict)
        if problem is not None:
            return replace(problem, more={"verdicts": [shown(one) for one in verdicts]}).response()
    return None
