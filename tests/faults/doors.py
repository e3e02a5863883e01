"""The bare firewall's doors as a host: every way to hand it a text, each with a firewall that loads on first use."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from alknet_firewall import Action, Firewall, FirewallConfig, HoldBack, Verdict
from tests.hosts.contract import Outcome, Slot

CALM = "Good morning."


@dataclass(frozen=True)
class DoorOutcome(Outcome):
    """As of any host, with the verdict, which only a door shows."""

    verdict: Verdict


class Doors:
    name = "bare"
    requires = ("alknet_firewall",)
    slots = (
        Slot("screen", "user", parts=False),
        Slot("screen_async", "document", parts=False),
        Slot("screen_many", "tool", parts=False),
        Slot("stream", "response", parts=False),
        Slot("guard_stream", "response", parts=False),
        Slot("conversation", "user", parts=False),
    )
    review = Action.REVIEW

    def __init__(self) -> None:
        self._firewalls: dict[str, Firewall] = {}

    def firewall(self, config: FirewallConfig) -> Firewall:
        """One for each set of settings, kept; not loaded before its first text."""
        return self._firewalls.setdefault(config.model_dump_json(), Firewall(config))

    async def run(self, slot: str, content: object, config: FirewallConfig) -> DoorOutcome:
        text, firewall = str(content), self.firewall(config)
        if slot == "screen":
            verdict = firewall.screen(text, "user")
        elif slot == "screen_async":
            verdict = await firewall.screen_async(text, "document")
        elif slot == "screen_many":
            _, verdict, _ = firewall.screen_many([CALM, text, CALM], "tool")
        elif slot == "stream":
            return await _streamed(firewall, text)
        elif slot == "guard_stream":
            return await _guarded(firewall, text)
        else:
            return await _said(firewall, text)
        return _outcome(verdict, "" if verdict.flagged else text)


async def _streamed(firewall: Firewall, text: str) -> DoorOutcome:
    seen = ""
    with firewall.stream(hold_back=HoldBack()) as stream:
        for piece in _pieces(text):
            stream.feed(piece)
            seen += stream.release()
        verdict = stream.close()
        seen += stream.release()
    return _outcome(verdict, seen)


async def _guarded(firewall: Firewall, text: str) -> DoorOutcome:
    async def source() -> AsyncIterator[str]:
        for piece in _pieces(text):
            yield piece

    written: AsyncIterable[str] = source()
    async with firewall.guard_stream(written) as guarded:
        seen = "".join([piece async for piece in guarded])
    return _outcome(guarded.verdict, seen)


async def _said(firewall: Firewall, text: str) -> DoorOutcome:
    conversation = firewall.conversation()
    await conversation.add_async(CALM)
    turn = await conversation.add_async(text)
    verdict = max(
        turn.verdict, turn.whole, key=lambda verdict: (verdict.action.severity, verdict.error or "")
    )
    return _outcome(verdict, "" if verdict.flagged else text)


def _pieces(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]


def _outcome(verdict: Verdict, seen: str) -> DoorOutcome:
    return DoorOutcome(verdict.action, seen, f"{verdict.to_dict()}{verdict!r}", verdict)


HOST = Doors()
