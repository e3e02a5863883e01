"""Passes the items of a stream on, such as events and chunks, as far as the text in them was screened."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from alknet_firewall.errors import ConfigError
from alknet_firewall.stream.holdback import HoldBack
from alknet_firewall.text.streamed import Said, arguments_text, read_streamed
from alknet_firewall.verdict import Verdict

if TYPE_CHECKING:
    from alknet_firewall.firewall import Firewall
    from alknet_firewall.stream.async_stream import AsyncTextStream

T = TypeVar("T")


class GuardedItems(AsyncIterator[T], Generic[T]):
    """Items of a source, in order, unchanged, each once the text in it and before it is clear.

    A text that comes in pieces is held back as by `Firewall.guard_stream`, and ends where another begins or an item
    comes that is no piece. What repeats a text that was clear is not screened again. Ends where the source does, or
    where flagged text would begin.

    Attributes:
        stopped: The verdict that ended it before its source did; None otherwise.
    """

    def __init__(
        self,
        firewall: Firewall,
        source: AsyncIterable[T],
        channel: str = "response",
        *,
        hold_back: HoldBack | None = None,
        cancel: Callable[[], object] | None = None,
        read: Callable[[T], Said] = read_streamed,
    ) -> None:
        """Reads nothing yet.

        Args:
            firewall: What screens.
            source: The items.
            channel: Where the text comes from, as of `Firewall.screen`.
            hold_back: How far it is held back; None: as by default. Items are looked at again only when one comes.
            cancel: Stops what writes the source: called before the source is closed, if that has not ended by then.
            read: Finds what an item says.

        Raises:
            ConfigError: `hold_back` has another mode than `block`: items cannot be changed.
        """
        hold_back = hold_back or HoldBack()
        if hold_back.mode != "block":
            raise ConfigError(f"hold back: mode = {hold_back.mode!r}; items can only be held back with block")
        self.stopped: Verdict | None = None
        self._firewall, self._source, self._channel = firewall, source, channel
        self._hold_back, self._cancel, self._read = hold_back, cancel, read
        self._waiting: deque[tuple[int, T]] = deque()  # each with the number of characters that must be clear
        self._come = self._clear = 0  # characters of all parts
        self._part: object = None
        self._stream: AsyncTextStream | None = None
        self._arguments: list[str] = []
        self._digest = hashlib.sha256()  # of the part so far
        self._known = {hashlib.sha256().digest()}  # of texts that are clear
        self._items = self._run()

    async def __anext__(self) -> T:
        return await self._items.__anext__()

    async def aclose(self) -> None:
        """Ends it: what waits is dropped."""
        await self._items.aclose()

    async def _run(self) -> AsyncGenerator[T, None]:
        ended = False
        try:
            async for item in self._source:
                await self._take(item)
                while self.stopped is None and self._waiting and self._waiting[0][0] <= self._clear:
                    yield self._waiting.popleft()[1]
                if self.stopped is not None:
                    return
            ended = True
            await self._end_part()
            while self.stopped is None and self._waiting:
                yield self._waiting.popleft()[1]
        finally:  # it is stopped, the source failed, or whoever reads has gone: nothing more goes out
            self._waiting.clear()
            if self._stream is not None:
                self._stream.abandon()
            if not ended:
                await self._leave()

    async def _leave(self) -> None:
        if self._cancel is not None:
            self._cancel()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _take(self, item: T) -> None:
        said = self._read(item)
        if said.part != self._part:
            await self._end_part()
            self._part = said.part
        for text in said.whole:
            await self._judge(text)
        if said.part is not None:
            await self._grow(said)
        self._waiting.append((self._come, item))

    async def _grow(self, said: Said) -> None:
        self._come += len(said.piece)
        if said.arguments:
            self._arguments.append(said.piece)
            return
        self._digest.update(_bytes(said.piece))
        if self._stream is None:
            self._stream = self._firewall.stream_async(self._channel, hold_back=self._hold_back)
        await self._stream.feed(said.piece)
        self._clear += len(await self._stream.release())
        self._stop(self._stream.stopped)

    async def _end_part(self) -> None:
        """The text that came in pieces is whole."""
        if self._arguments:
            await self._judge(arguments_text("".join(self._arguments)))
            self._arguments = []
        if self._stream is not None:
            verdict = await self._stream.close()
            self._stop(verdict if verdict.flagged else None)
            self._known.add(self._digest.digest())
            self._stream, self._digest = None, hashlib.sha256()
        self._clear = self._come

    async def _judge(self, text: str) -> None:
        digest = hashlib.sha256(_bytes(text)).digest()
        if self.stopped is None and digest not in self._known:
            verdict = await self._firewall.screen_async(text, self._channel)
            self._stop(verdict if verdict.flagged else None)
            self._known.add(digest)

    def _stop(self, verdict: Verdict | None) -> None:
        self.stopped = self.stopped or verdict


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
