"""Where every text of the server goes through: the one firewall, its deadline, and those who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from alknet_firewall.errors import AlknetFirewallError
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.problems import ProblemError, fault
from alknet_firewall.verdict import Verdict

_TOGETHER = 64  # texts of one request that are handed in at a time: the queue is everybody's


class Watcher(Protocol):
    """Is told what happens; never the text."""

    def screened(self, verdict: Verdict, seconds: float | None) -> None:
        """A verdict was given; seconds are None for a stream."""

    def batch(self, stage: str, windows: int, seconds: float) -> None:
        """The detector has read a batch of windows."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""

    def screening(self, channel: str, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Surrounds the screening of one text: `screened` is called within, but not if screening raises."""


class Recorder(Protocol):
    """Writes verdicts down: an audit log."""

    def write(self, verdict: Verdict, text: str, channel: str, seconds: float) -> None:
        """Takes one; called in a thread, and may wait."""


class Screener:
    """Screens for all routes. One a process, as is its firewall."""

    def __init__(
        self,
        firewall: Firewall,
        watchers: Sequence[Watcher],
        *,
        deadline_ms: float | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Takes what it works with.

        Args:
            firewall: Does the work.
            watchers: Are told of it.
            deadline_ms: Milliseconds for all texts of a request together; None: what the firewall's settings say.
            recorder: Writes verdicts down.
        """
        self.firewall, self.watchers = firewall, tuple(watchers)
        self._deadline_ms, self._recorder = deadline_ms, recorder

    async def screen(self, text: str, channel: str, headers: Mapping[str, str]) -> Verdict:
        """Screens one text.

        Args:
            text: Any text.
            channel: Where it comes from.
            headers: Of the request: a trace may go on in them.

        Raises:
            ProblemError: It cannot be screened, and the policy `on_error` is `raise`.
        """
        return await self._screen(text, channel, headers, self._due())

    async def screen_many(
        self, asked: Sequence[tuple[str, str]], headers: Mapping[str, str]
    ) -> list[Verdict]:
        """Screens several texts, each with its channel, under one deadline; as `screen`."""
        due = self._due()
        verdicts: list[Verdict] = []
        for start in range(0, len(asked), _TOGETHER):
            part = asked[start : start + _TOGETHER]
            verdicts += await asyncio.gather(*(self._screen(*one, headers, due) for one in part))
        return verdicts

    def streamed(self, verdict: Verdict) -> None:
        """Tells the watchers the verdict on a stream."""
        for watcher in self.watchers:
            watcher.screened(verdict, None)

    def _due(self) -> float | None:
        return None if self._deadline_ms is None else time.monotonic() + self._deadline_ms / 1000

    async def _screen(
        self, text: str, channel: str, headers: Mapping[str, str], due: float | None
    ) -> Verdict:
        started = time.perf_counter()
        with ExitStack() as around:
            for watcher in self.watchers:
                around.enter_context(watcher.screening(channel, headers))
            verdict = await self._judged(text, channel, due)
            seconds = time.perf_counter() - started
            for watcher in self.watchers:
                watcher.screened(verdict, seconds)
        if self._recorder is not None:
            await asyncio.to_thread(
                self._recorder.write, verdict, text, channel, seconds
            )  # it may wait for a disk
        return verdict

    async def _judged(self, text: str, channel: str, due: float | None) -> Verdict:
        left = None if due is None else max((due - time.monotonic()) * 1000, 1.0)
        try:
            return await self.firewall.screen_async(text, channel, deadline_ms=left)
        except AlknetFirewallError as error:  # the policy on_error is "raise"
            raise ProblemError(fault(type(error).__name__)) from None
