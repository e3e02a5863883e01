"""The actions behind the flows: each gives a text to the engine and its verdict to NeMo Guardrails."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Any

from nemoguardrails import LLMRails
from nemoguardrails.actions import action
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.actions.rail_outcome import RailOutcome, TransformTarget

from alknet_firewall import Action, ConfigError, Firewall, Verdict, describe, read_content, shared_firewall

SETTINGS = "alknet_firewall"
"""The key under `custom_data`: the settings of the firewall, and `stream`."""

_OUTPUT = "alknet firewall check output"
_log = logging.getLogger(__name__)


def wire(app: LLMRails, firewall: Firewall | None = None) -> None:
    """Registers the actions, and holds streamed output back.

    Args:
        app: The application, which is being built.
        firewall: The engine; None: the process's one with the settings under `custom_data: alknet_firewall:`.

    Raises:
        ConfigError: A setting is unknown or has a bad value; the message names it.
        AlknetFirewallError: The engine cannot be loaded.
    """
    settings = dict(app.config.custom_data.get(SETTINGS) or {})
    stream = settings.pop("stream", "whole")
    if stream not in ("whole", "chunks"):
        raise ConfigError(f"custom_data {SETTINGS}.stream = {stream!r}: should be 'whole' or 'chunks'")
    rails = Rails(shared_firewall(firewall or settings))
    for each in (rails.screen, rails.screen_tool_calls, rails.filter_chunks):
        app.register_action(each)
    if _OUTPUT in app.config.rails.output.flows:
        streaming = app.config.rails.output.streaming
        streaming.stream_first = False  # NeMo's default shows a chunk before it is checked
        if stream == "whole":
            streaming.chunk_size = sys.maxsize  # a phrase that is split over chunks would have gone out in part


class Rails:
    """The actions, on one engine."""

    def __init__(self, firewall: Firewall) -> None:
        """Takes a loaded firewall."""
        self._firewall = firewall

    @action(is_system_action=True, name="alknet_firewall_screen")
    async def screen(self, channel: str, content: object = None, **_: object) -> RailOutcome:
        """Screens one message, result or list of tool calls; review blocks, as nobody could be asked."""
        (verdict,) = await self._verdicts([content], channel)
        return RailOutcome.block(reason=describe(verdict)) if verdict.flagged else RailOutcome.allow()

    @action(is_system_action=True, name="alknet_firewall_screen_tool_calls")
    async def screen_tool_calls(self, tool_calls: object, **_: object) -> ActionResult:
        """Screens the model's calls of tools; flagged ones are emptied, or NeMo hands them out all the same."""
        outcome = await self.screen("response", tool_calls)
        return ActionResult(outcome, context_updates={"tool_calls": []} if outcome.is_blocked else {})

    @action(is_system_action=True, name="alknet_firewall_filter_chunks")
    async def filter_chunks(self, context: dict[str, Any], **_: object) -> ActionResult:
        """Screens `$relevant_chunks` chunk by chunk and takes out those that are flagged."""
        text, chunks = context.get("relevant_chunks") or "", context.get("relevant_chunks_sep") or []
        if "\n".join(map(str, chunks)).strip() != text.strip():  # chunks of other text, or none: it is one
            chunks = [text]
        verdicts = await self._verdicts(chunks, "document")
        kept = [chunk for chunk, verdict in zip(chunks, verdicts) if not verdict.flagged]
        if len(kept) == len(chunks):
            return ActionResult(RailOutcome.allow())
        update = "\n".join(kept)
        outcome = RailOutcome.transform([(TransformTarget.RELEVANT_CHUNKS, update)])
        return ActionResult(outcome, context_updates={"relevant_chunks": update, "relevant_chunks_sep": kept})

    async def _verdicts(self, contents: Sequence[object], channel: str) -> list[Verdict]:
        """Verdicts in order; an exception never gets to NeMo, which would log the text with it."""
        try:
            texts = [read_content(content).text for content in contents]
            verdicts = await asyncio.to_thread(self._firewall.screen_many, texts, channel)
        except Exception as error:
            _log.error("screening failed (%s); the text is blocked", type(error).__name__)
            failed = Verdict(Action.BLOCK, 1.0, 0.0, channel=channel, error=type(error).__name__)
            verdicts = [failed] * len(contents)
        for verdict in verdicts:
            if verdict.flagged:
                _log.info("%s", describe(verdict))
        return verdicts
