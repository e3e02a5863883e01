"""A conversation: each turn is judged alone, and with what was said before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from alknet_firewall.arguments import check_channel, check_text
from alknet_firewall.config import FirewallConfig
from alknet_firewall.engine import Engine, Tally
from alknet_firewall.errors import StreamError
from alknet_firewall.faults import verdict_on_fault
from alknet_firewall.forks import renew_in_children
from alknet_firewall.policy import group_of
from alknet_firewall.stream.conversation_state import ConversationMemory, from_state, to_state
from alknet_firewall.stream.events import event_of
from alknet_firewall.stream.evidence import ChannelEvidence, Channels, strictest, unworded, whole_verdict
from alknet_firewall.stream.last_words import NOTABLE_RATE
from alknet_firewall.stream.sinks import Sink, check_sink
from alknet_firewall.verdict import Action, Verdict

Load = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said of one turn.

    Attributes:
        number: Of the turn in its conversation, from 1.
        verdict: On this turn alone: that of `Firewall.screen`.
        whole: On the conversation up to here. Its alarms have no spans: what carries them may have been said in
            several turns. What could not be read (a fault, a text over `max_tokens`) counts at its own turn only.
    """

    number: int
    verdict: Verdict
    whole: Verdict


class Conversation:
    """Screens the turns of one conversation. For one thread at a time; a second one gets an error that says so."""

    def __init__(
        self, load: Load, config: FirewallConfig, *, name: str | None = None, sink: Sink | None = None
    ) -> None:
        """As `Firewall.conversation` makes it; nothing is loaded before the first turn.

        Args:
            load: Gives what does the work.
            config: The firewall's settings.
            name: What events call it.
            sink: Is told every verdict.

        Raises:
            TypeError: `sink` is no `Sink`.
        """
        check_sink(sink)
        self._load, self._config, self._name, self._sink = load, config, name, sink
        self._memory = ConversationMemory()
        self.renew()
        renew_in_children(self)

    @classmethod
    def resumed(cls, state: object, load: Load, config: FirewallConfig, **arguments: Any) -> Conversation:
        """One that goes on where `state()` was taken. Loads the engine, as it must be the same.

        Raises:
            StateError: The state is damaged, of another version, or of another codebook or detector.
        """
        conversation = cls(load, config, **arguments)
        conversation._memory = from_state(state, load())
        return conversation

    def renew(self) -> None:
        """In a forked child: a turn that another thread is adding is the parent's, and does not end here."""
        self._lock = threading.Lock()
        self._unfinished: asyncio.Future[Turn] | None = None  # of a caller that has gone

    @property
    def turns(self) -> int:
        """How many were taken."""
        return self._memory.turns

    def add(self, text: str, channel: str = "user") -> Turn:
        """Screens the next turn.

        Args:
            text: Any text.
            channel: Where it comes from: `user`, `document`, `tool` or `response`.

        Returns:
            The verdicts on it and on the whole. A fault becomes a verdict by the policy `on_error`; what was found
            before it stays.

        Raises:
            TypeError: `text` is not a string.
            ValueError: `channel` is none of the four.
            StreamError: Another thread, or another task, is adding a turn.
        """
        check_text(text)
        check_channel(channel)
        with self._alone():
            turn = self._take(text, channel)
            if self._sink is not None:
                self._sink(
                    event_of(
                        self._sink,
                        turn.verdict,
                        text,
                        conversation=self._name,
                        turn=turn.number,
                        whole=turn.whole,
                    )
                )
        return turn

    async def add_async(self, text: str, channel: str = "user") -> Turn:
        """As `add`; the event loop goes on meanwhile.

        The turn of a caller that is cancelled counts all the same, as long as its event loop runs. The next one waits
        for it.
        """
        check_text(text)
        check_channel(channel)
        work = asyncio.ensure_future(self._add_after(self._unfinished, text, channel))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                self._unfinished = work
                work.add_done_callback(_look_at)
            raise

    async def _add_after(self, unfinished: asyncio.Future[Turn] | None, text: str, channel: str) -> Turn:
        if unfinished is not None and not unfinished.done():
            await asyncio.wait({unfinished})
        return await asyncio.to_thread(self.add, text, channel)

    def state(self) -> dict[str, Any]:
        """All that is kept, JSON-ready, for `Firewall.resume_conversation`; of bounded size.

        It holds the last words of the conversation: it is as confidential as what was said.
        """
        with self._alone():
            return to_state(self._memory, self._load())

    def _take(self, text: str, channel: str) -> Turn:
        self._memory.turns += 1
        number = self._memory.turns
        try:
            engine = self._load()
        except Exception as error:
            fault = verdict_on_fault(self._config, error, channel)
            return Turn(number, fault, fault)
        alone: Verdict | None = None
        try:
            tally = engine.see(text, channel)
            alone = engine.verdict(tally, channel)
            self._memory.tokens += tally.tokens
            _of(self._memory.alone, channel).add(tally)
            if _is_notable(engine, tally, alone):
                self._read_joined(engine, text, channel)
            return Turn(number, alone, self._whole(engine, channel, truncated=alone.truncated))
        except Exception as error:
            if alone is None:  # nobody knows what it says: what follows is read with it
                self._keep_words(engine, text, channel)
            fault = verdict_on_fault(self._config, error, channel)
            return Turn(number, alone or fault, self._whole_with(engine, fault))

    def _read_joined(self, engine: Engine, text: str, channel: str) -> None:
        """Reads a notable turn together with what was said before it, and keeps its words."""
        try:
            size, tokenizer = engine.codebook.window.size, engine.detector.tokenizer
            joined = self._memory.last_words.joined(text, channel, tokenizer, size)
            if joined is not None:
                _of(self._memory.joined, channel).add(engine.see(joined, channel))
        finally:
            self._keep_words(engine, text, channel)

    def _keep_words(self, engine: Engine, text: str, channel: str) -> None:
        with suppress(Exception):  # what is told is the fault that it stands beside
            self._memory.last_words.add(text, channel, engine.detector.tokenizer, engine.codebook.window.size)

    def _whole(self, engine: Engine, channel: str, *, truncated: bool = False) -> Verdict:
        memory = self._memory
        whole = whole_verdict(engine, memory.alone, memory.joined, channel, memory.tokens)
        if not truncated:
            return whole
        action = max(whole.action, Action(self._config.on_long), key=lambda action: action.severity)
        return replace(whole, action=action, truncated=True)

    def _whole_with(self, engine: Engine, fault: Verdict) -> Verdict:
        """What was found so far stands beside a fault; where that cannot be told, the fault stands alone."""
        try:
            known = self._whole(engine, fault.channel)
        except Exception:
            return fault
        return replace(strictest([known, fault]), error=fault.error, tokens=known.tokens)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self._lock  # a forked child gets another one
        if not lock.acquire(blocking=False):
            raise StreamError(
                "the conversation is in use by another thread or task: it takes one turn after the other"
            )
        try:
            yield
        finally:
            lock.release()


def _of(channels: Channels, channel: str) -> ChannelEvidence:
    return channels.setdefault(channel, ChannelEvidence())


def _is_notable(engine: Engine, tally: Tally, alone: Verdict) -> bool:
    """Whether a turn looks so much like an attack that it is read with others: an order may come a word at a time."""
    if alone.false_alarm_rate <= NOTABLE_RATE:
        return True
    bare = unworded(tally, group_of(engine.config, engine.codebook))
    return bare is not None and engine.verdict(bare, alone.channel).false_alarm_rate <= NOTABLE_RATE


def _look_at(work: asyncio.Future[Turn]) -> None:
    """Whoever asked has gone: an error of the turn is nobody's."""
    if not work.cancelled():
        work.exception()
