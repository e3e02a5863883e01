"""`/v1/moderations` as OpenAI's, so that clients of it work as they are: docs/deployment.md says what maps to what."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import JSONResponse, Response

from alknet_firewall import __version__
from alknet_firewall.serve import bodies
from alknet_firewall.serve.problems import Problem, ProblemError
from alknet_firewall.serve.screener import Screener
from alknet_firewall.serve.screening import check_number, worst_fault
from alknet_firewall.verdict import Action, Verdict

OPENAI_CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors"),
    *("violence", "violence/graphic"),
)
"""What OpenAI's clients expect to be there. Only `illicit` can become true: a request for something harmful."""

OWN_CATEGORIES = ("injection", "jailbreak", "harmful", "deception")
"""Further ones: the behaviors. Those of plugins and codebooks are told as well, when they raise an alarm."""

_ALIASES = {"harmful": "illicit"}


def moderations_router(screener: Screener, max_texts: int) -> APIRouter:
    """The route.

    Args:
        screener: Does the work.
        max_texts: Texts in one request, at most.
    """
    router = APIRouter(tags=["moderations"])

    @router.post("/v1/moderations", response_model=dict[str, Any], responses=bodies.PROBLEMS)
    async def moderate(
        request: Request,
        asked: Annotated[bodies.ModerationRequest, Body(openapi_examples=bodies.MODERATION_EXAMPLES)],
    ) -> Response:
        """Screens as OpenAI's endpoint moderates. Pictures are refused with 422: nobody would have looked at them."""
        texts = _texts(asked.input)
        check_number(len(texts), max_texts)
        verdicts = await screener.screen_many([(text, asked.channel) for text in texts], request.headers)
        return worst_fault(verdicts) or JSONResponse(
            {
                "id": f"modr-{uuid.uuid4().hex}",
                "model": asked.model or f"alknet-firewall-{__version__}",
                "results": [_result(verdict) for verdict in verdicts],
            }
        )

    return router


def _texts(given: str | list[Any]) -> list[str]:
    """The texts to judge, one result each."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(item, str) for item in given):
        return list(given)
    if given and all(isinstance(item, dict) for item in given):
        return ["\n".join(map(_part, given))]
    raise _malformed("'input' is neither a text, nor a list of texts, nor a list of content parts.")


def _part(part: dict[str, Any]) -> str:
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise _malformed(
        "'input' has a content part that is not text; pictures, sound and files cannot be read here."
    )


def _malformed(detail: str) -> ProblemError:
    hint = 'Send {"input": "..."}, {"input": ["...", "..."]} or {"input": [{"type": "text", "text": "..."}]}.'
    return ProblemError(Problem(422, "malformed", detail, hint))


def _result(verdict: Verdict) -> dict[str, Any]:
    """One result; the verdict itself goes along as `alknet_firewall`."""
    names = (*OPENAI_CATEGORIES, *OWN_CATEGORIES)
    flags, scores = dict.fromkeys(names, False), dict.fromkeys(names, 0.0)
    for alarm in verdict.alarms:
        for name in (alarm.behavior, _ALIASES.get(alarm.behavior, alarm.behavior)):
            flags[name] = flags.get(name, False) or alarm.action is not Action.ALLOW
            scores[name] = max(scores.get(name, 0.0), alarm.score)
    return {
        "flagged": verdict.flagged,
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in flags},
        "alknet_firewall": verdict.to_dict(),
    }
