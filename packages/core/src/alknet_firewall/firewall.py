"""The firewall: one call that takes text nobody vouches for and answers what to do with it.

`screen` checks its arguments, `Engine.judge` does the work, and what goes wrong becomes a verdict by policy.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alknet_firewall.arguments import check_channel, check_deadline, check_text
from alknet_firewall.config import FirewallConfig
from alknet_firewall.deadline import Deadline
from alknet_firewall.engine import Engine, load_engine
from alknet_firewall.errors import DeadlineError, OverloadedError
from alknet_firewall.faults import verdict_on_fault
from alknet_firewall.forks import keep_for_ever, renew_in_children
from alknet_firewall.gather import BATCH_ITEMS, Gatherer
from alknet_firewall.stream.memory import SharedMemory
from alknet_firewall.verdict import Verdict
from alknet_firewall.verdict_cache import VerdictCache
from alknet_firewall.waiting import size_of, verdict_in_time, verdict_in_time_async

if TYPE_CHECKING:
    from alknet_firewall.gather.lane import Promise
    from alknet_firewall.stream.async_stream import AsyncTextStream
    from alknet_firewall.stream.conversation import Conversation
    from alknet_firewall.stream.guard import GuardedStream
    from alknet_firewall.stream.holdback import HoldBack
    from alknet_firewall.stream.sinks import Sink
    from alknet_firewall.stream.text_stream import TextStream

_CHUNK_TEXTS, _CHUNK_CHARS = 256, 1 << 20  # that screen_many has in hand at a time
_BYTES_A_TOKEN = 4  # of text as people write it: of long text no more is read than `max_tokens`

_Asked = tuple[str, str]
"""A text and its channel."""


class Firewall:
    """Screens text. Safe to share between threads and event loops; loads on first use, or by `warm_up`.

    Attributes:
        config: Its settings.
    """

    def __init__(self, config: FirewallConfig | None = None) -> None:
        """Takes the settings; by default those of the environment (no file is read)."""
        self.config = FirewallConfig() if config is None else config
        self._engine: Engine | None = None
        self.renew()
        renew_in_children(self)

    @classmethod
    def from_config(cls, path: str | Path) -> Firewall:
        """A firewall with the settings of a TOML file.

        Raises:
            ConfigError: The file cannot be read, or has an unknown key or a bad value.
        """
        return cls(FirewallConfig.from_file(Path(path)))

    def warm_up(self) -> Firewall:
        """Loads everything now and not at the first text; returns itself. To be called after a fork, not before.

        Raises:
            AlknetFirewallError: Codebook, weights, backend or a plugin cannot be loaded; the message says which.
        """
        self.engine.judge([" warm up"], ["user"])
        return self

    @property
    def engine(self) -> Engine:
        """What does the work, loaded once."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = load_engine(self.config)
        return self._engine

    def screen(self, text: str, channel: str = "user", *, deadline_ms: float | None = None) -> Verdict:
        """Screens one text.

        Args:
            text: Any text. It is never logged.
            channel: Where it comes from: `user`, `document`, `tool` or `response`.
            deadline_ms: How long this call may take, in ms, loading and waiting included; None: the setting
                `deadline_ms`, `math.inf`: as long as it takes. With a deadline another thread does the work.

        Returns:
            The verdict. A fault while screening, or a deadline that passes, becomes a verdict by the policy `on_error`,
            with `error` set.

        Raises:
            TypeError: `text` is not a string, or `deadline_ms` no number.
            ValueError: `channel` is none of the four, or `deadline_ms` is not above 0.
        """
        deadline = self._deadline(deadline_ms)
        check_text(text)
        check_channel(channel)
        if deadline is None:
            return self._screened([(text, channel)])[0]
        return self._in_time([(text, channel)], deadline)[0]

    def screen_many(
        self, texts: Iterable[str], channel: str = "user", *, deadline_ms: float | None = None
    ) -> list[Verdict]:
        """Screens many texts, in batches: the same verdicts as one by one, in order.

        Args:
            texts: Any number; what is iterated over is read little by little, and never held as a whole.
            channel: Where they come from, as of `screen`.
            deadline_ms: As of `screen`, for all of them together: what is not screened by then gets the verdict of
                `on_error`.

        Raises:
            TypeError: `texts` is one string, or one of them is not a string; `deadline_ms` is no number.
            ValueError: `channel` is none of the four, or `deadline_ms` is not above 0.
        """
        deadline = self._deadline(deadline_ms)
        if isinstance(texts, (str, bytes, bytearray, Mapping)) or not isinstance(texts, Iterable):
            raise TypeError(
                f"screen_many takes a list of texts, not {type(texts).__name__}; pass one text to screen()"
            )
        check_channel(channel)
        verdicts: list[Verdict] = []
        for chunk in _chunks(texts):
            asked = [(text, channel) for text in chunk]
            verdicts += self._screened(asked) if deadline is None else self._in_time(asked, deadline)
        return verdicts

    async def screen_async(
        self, text: str, channel: str = "user", *, deadline_ms: float | None = None
    ) -> Verdict:
        """As `screen`; the event loop goes on meanwhile, and texts of many callers are screened together.

        The text of a caller that is cancelled is not screened; its place is free when its turn comes. If more than
        `max_waiting` texts wait already, or the verdict is expected after the deadline, the verdict is that of
        `on_error` at once, with `error` set.
        """
        deadline = self._deadline(deadline_ms)
        check_text(text)
        check_channel(channel)
        answer = self._answer((text, channel), deadline)
        if isinstance(answer, Verdict):
            return answer
        on_fault = partial(verdict_on_fault, self.config, channel=channel)
        return await verdict_in_time_async(answer, deadline, on_fault)

    def stream(
        self,
        channel: str = "response",
        *,
        hold_back: HoldBack | None = None,
        name: str | None = None,
        sink: Sink | None = None,
    ) -> TextStream:
        """A text that arrives in pieces: `with fw.stream() as s: s.feed(chunk)`; the last verdict is that of `screen`.

        Args:
            channel: Where it comes from, as of `screen`.
            hold_back: Given, `s.release()` hands out what may go on; None: the stream only judges.
            name: What events call it.
            sink: Is told the last verdict, and each that decides otherwise than the one before; without the text.

        Raises:
            ValueError: `channel` is none of the four.
        """
        from alknet_firewall.stream.text_stream import TextStream

        memory = self._stream_memory
        return TextStream(lambda: self.engine, self.config, channel, memory, hold_back, name=name, sink=sink)

    def stream_async(
        self,
        channel: str = "response",
        *,
        hold_back: HoldBack | None = None,
        name: str | None = None,
        sink: Sink | None = None,
    ) -> AsyncTextStream:
        """As `stream`, for `async with`; the event loop goes on while text is screened."""
        from alknet_firewall.stream.async_stream import AsyncTextStream

        return AsyncTextStream(self.stream(channel, hold_back=hold_back, name=name, sink=sink))

    def guard_stream(
        self,
        source: AsyncIterable[str],
        channel: str = "response",
        *,
        hold_back: HoldBack | None = None,
        name: str | None = None,
        sink: Sink | None = None,
    ) -> GuardedStream:
        """Passes a source on as far as it was screened: `async for piece in fw.guard_stream(source)`.

        Args:
            source: Pieces of one text, such as what a model writes. It is closed when the stream is ended.
            channel: Where it comes from, as of `screen`.
            hold_back: How it is held back; by default flagged text ends it.
            name: As of `stream`.
            sink: As of `stream`.
        """
        from alknet_firewall.stream.guard import GuardedStream
        from alknet_firewall.stream.holdback import HoldBack

        hold_back = hold_back or HoldBack()
        stream = self.stream_async(channel, hold_back=hold_back, name=name, sink=sink)
        return GuardedStream(stream, source, timed=hold_back.max_delay_ms is not None)

    def conversation(self, *, name: str | None = None, sink: Sink | None = None) -> Conversation:
        """A conversation whose turns are screened alone and together; nothing is loaded before the first one.

        Args:
            name: What events call it.
            sink: Is told the verdicts on every turn.
        """
        from alknet_firewall.stream.conversation import Conversation

        return Conversation(lambda: self.engine, self.config, name=name, sink=sink)

    def resume_conversation(
        self, state: Mapping[str, Any], *, name: str | None = None, sink: Sink | None = None
    ) -> Conversation:
        """A conversation that goes on where its `state()` was taken, in this process or another one.

        Raises:
            StateError: The state is damaged, of another version, or of another codebook or detector.
            AlknetFirewallError: The engine cannot be loaded.
        """
        from alknet_firewall.stream.conversation import Conversation

        return Conversation.resumed(state, lambda: self.engine, self.config, name=name, sink=sink)

    @property
    def stream_memory(self) -> int:
        """What streams keep of the windows they are reading, in bytes: at most `stream_memory_mb`."""
        return self._stream_memory.nbytes

    def renew(self) -> None:
        """Starts afresh in a forked child, by itself: neither locks nor threads nor models of the parent work there."""
        if self._engine is not None:
            keep_for_ever(self._engine)
        self._engine = None
        self._lock = threading.Lock()
        self._verdicts = VerdictCache(self.config.cache_verdicts)
        self._stream_memory = SharedMemory(int(self.config.stream_memory_mb * 1e6))
        self._gatherer: Gatherer[Firewall, _Asked, Verdict] = Gatherer(
            self,
            Firewall._screened,
            Firewall._screening,
            max_waiting=self.config.max_waiting,
            wait=self.config.batch_wait_ms / 1000,
        )

    def _deadline(self, deadline_ms: float | None) -> Deadline | None:
        check_deadline(deadline_ms)
        return Deadline.after(self.config.deadline_ms if deadline_ms is None else deadline_ms)

    def _answer(self, asked: _Asked, deadline: Deadline | None) -> Promise[Verdict] | Verdict:
        """A verdict that is known, or that of the policy where it would come too late; else what is worked on."""
        text, channel = asked
        known = self._verdicts.get(text, channel)
        if known is not None:
            return known
        most = len(text) if self.config.on_long == "screen_all" else _BYTES_A_TOKEN * self.config.max_tokens
        try:
            if deadline is not None and deadline.passed:
                raise deadline.error()
            return self._gatherer.submit(asked, size_of(text, most), deadline)
        except (OverloadedError, DeadlineError) as error:
            return verdict_on_fault(self.config, error, channel)

    def _in_time(self, asked: Sequence[_Asked], deadline: Deadline) -> list[Verdict]:
        """Verdicts by a deadline, through the queue: a thread that hangs keeps no caller waiting."""
        at_once = min(BATCH_ITEMS, self.config.max_waiting)
        groups = (asked[first : first + at_once] for first in range(0, len(asked), at_once))
        return [verdict for group in groups for verdict in self._group_in_time(group, deadline)]

    def _group_in_time(self, group: Sequence[_Asked], deadline: Deadline) -> list[Verdict]:
        answers: list[Promise[Verdict] | Verdict] = []
        verdicts: list[Verdict] = []
        try:
            answers.extend(self._answer(one, deadline) for one in group)
            for answer, (_, channel) in zip(answers, group):
                if not isinstance(answer, Verdict):
                    on_fault = partial(verdict_on_fault, self.config, channel=channel)
                    answer = verdict_in_time(answer, deadline, on_fault)
                verdicts.append(answer)
            return verdicts
        finally:
            for answer in answers[len(verdicts) :]:  # one was raised: nobody waits for the others
                if not isinstance(answer, Verdict):
                    answer.cancel()

    def _screened(self, asked: Sequence[_Asked]) -> list[Verdict]:
        """Verdicts on texts, each with its channel: those that are known, and for the others those of the engine."""
        verdicts = [self._verdicts.get(text, channel) for text, channel in asked]
        new = [one for one, verdict in zip(asked, verdicts) if verdict is None]
        judged = self._judged(new) if new else []
        for (text, _), verdict in zip(new, judged):
            self._verdicts.put(text, verdict)
        fresh = iter(judged)
        return [next(fresh) if verdict is None else verdict for verdict in verdicts]

    def _screening(self, asked: _Asked) -> Generator[None, None, Verdict]:
        """As `_screened` for one text, in steps."""
        text, channel = asked
        try:
            [verdict] = yield from self.engine.judging([text], [channel])
        except Exception as error:
            return verdict_on_fault(self.config, error, channel)
        self._verdicts.put(text, verdict)
        return verdict

    def _judged(self, asked: Sequence[_Asked]) -> list[Verdict]:
        try:
            return self.engine.judge([text for text, _ in asked], [channel for _, channel in asked])
        except Exception as error:
            if self.config.on_error == "raise":
                raise
            if len(asked) > 1 and self._engine is not None:  # one text that fails must not decide for the others
                return [verdict for one in asked for verdict in self._judged([one])]
            return [verdict_on_fault(self.config, error, channel) for _, channel in asked]


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of bounded length, each checked to be one."""
    chunk: list[str] = []
    chars = 0
    for text in texts:
        check_text(text)
        chunk.append(text)
        chars += len(text)
        if len(chunk) == _CHUNK_TEXTS or chars >= _CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk
