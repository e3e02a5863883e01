"""The actions behind the flows: each gives a text to the engine and its verdict to NeMo Guardrails."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nemoguardrails import LLMRails
from nemoguardrails.actions import action
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.actions.rail_outcome import RailOutcome, TransformTarget

from alknet_firewall import Action, ConfigError, Firewall, Verdict, describe, read_content, shared_firewall

SETTINGS = "alknet_firewall"  # the key under `custom_data`: the settings of a firewall, and `stream`
Events = Sequence[dict[str, Any]]
_log = logging.getLogger(__name__)


def wire(app: LLMRails, firewall: Firewall | None = None) -> None:
    """Registers the actions, and closes what the application's configuration leaves open.

    Args:
        app: The application, which is being built.
        firewall: The engine; None: the process's one with the settings under `custom_data: alknet_firewall:`.

    Raises:
        ConfigError: A setting is unknown or has a bad value; the message names it.
        AlknetFirewallError: The engine cannot be loaded.
    """
    settings = app.config.custom_data.get(SETTINGS) or {}
    if not isinstance(settings, Mapping):
        raise ConfigError(f"custom_data {SETTINGS}: should be a mapping of settings")
    own = {key: value for key, value in settings.items() if key != "stream"}
    actions = Actions(shared_firewall(firewall or own))
    app.register_action(actions.screen)
    app.register_action(actions.filter_chunks)
    _hold_back(app.config.rails, settings.get("stream", "whole"))


def _hold_back(rails: Any, stream: object) -> None:
    if stream not in ("whole", "chunks"):
        raise ConfigError(f"custom_data {SETTINGS}.stream = {stream!r}: should be 'whole' or 'chunks'")
    if "alknet firewall check output" in rails.output.flows:
        rails.output.streaming.stream_first = False  # the default shows a chunk before it is screened
        if stream == "whole":  # else a phrase that is split over two chunks goes out in part
            rails.output.streaming.chunk_size = sys.maxsize
    if rails.retrieval.flows:
        # Seen in 0.24.1: beside retrieval rails, a parallel rail refuses and the model is called all the same.
        rails.input.parallel = rails.output.parallel = False


class Actions:
    """What the flows execute, on one engine."""

    def __init__(self, firewall: Firewall) -> None:
        """Takes a loaded firewall."""
        self._firewall = firewall

    @action(is_system_action=True, name="alknet_firewall_screen")
    async def screen(
        self, channel: str, content: object = None, messages: Events = (), events: Events = (), **_: Any
    ) -> RailOutcome:
        """Screens content, or each of several messages; what asks for review is blocked, as nobody is asked."""
        thoughts = [event for event in events if channel == "response" and _is_thought(event)]
        contents = [message["content"] for message in messages] or [content]
        contents += [thought["content"] for thought in thoughts[-1:]]
        verdict = max(await self._verdicts(contents, channel), key=lambda verdict: verdict.action.severity)
        if not verdict.flagged:
            return RailOutcome.allow()
        for thought in thoughts:
            thought["content"] = ""  # a model's thoughts are handed out with the refusal
        return RailOutcome.block(reason=describe(verdict))

    @action(is_system_action=True, name="alknet_firewall_filter_chunks")
    async def filter_chunks(self, context: Mapping[str, Any], **_: Any) -> ActionResult:
        """Screens `$relevant_chunks` chunk by chunk and takes out those that are flagged."""
        text, chunks = context.get("relevant_chunks") or "", context.get("relevant_chunks_sep") or []
        if "\n".join(map(str, chunks)).strip() != text.strip():  # chunks of another text, or none
            chunks = [text]
        verdicts = await self._verdicts(chunks, "document")
        kept = [chunk for chunk, verdict in zip(chunks, verdicts) if not verdict.flagged]
        if len(kept) == len(chunks):
            return ActionResult(RailOutcome.allow())
        text = "\n".join(kept)
        outcome = RailOutcome.transform([(TransformTarget.RELEVANT_CHUNKS, text)])
        return ActionResult(outcome, context_updates={"relevant_chunks": text, "relevant_chunks_sep": kept})

    async def _verdicts(self, contents: Sequence[object], channel: str) -> list[Verdict]:
        """Verdicts in order. An exception goes no further: NeMo would log the text with it."""
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


def _is_thought(event: Any) -> bool:
    return isinstance(event, dict) and event.get("type") == "BotThinking"
