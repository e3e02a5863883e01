"""The bare firewall as a host: it stops what it flags, and else hands the text on."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

from alknet_firewall import Action, FirewallConfig, content_text, shared_firewall
from alknet_firewall.verdict import CHANNELS
from tests.hosts.contract import Outcome, Slot


class Bare:
    name = "bare"
    requires = ("alknet_firewall",)
    slots = tuple(Slot(channel, channel) for channel in CHANNELS)
    review = Action.REVIEW
    streams = ("guard_stream",)

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        text = content_text(content)
        verdict = await shared_firewall(config).screen_async(text, slot)
        seen = "" if verdict.flagged else text
        log = f"{verdict.to_dict() | {'error': None}}"  # the message of an exception may quote the text
        return Outcome(verdict.action, seen, log)

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        guarded = shared_firewall(config).guard_stream(source)
        async for piece in guarded:
            show(piece, piece)
        return guarded.stopped is not None


HOST = Bare()
