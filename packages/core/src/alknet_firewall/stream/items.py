"""Passes the items of a stream on, such as events and chunks, as far as the text in them was screened."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar

from alknet_firewall.errors import ConfigError
from alknet_firewall.stream.guard import Guarded, check_source, each
from alknet_firewall.stream.holdback import HoldBack
from alknet_firewall.text.streamed import Said, arguments_text, read_streamed
from alknet_firewall.verdict import Verdict

if TYPE_CHECKING:
    from alknet_firewall.firewall import Firewall
    from alknet_firewall.stream.async_stream import AsyncTextStream

T = TypeVar("T")


class GuardedItems(Guarded[T]):
    """Items of a source, in order, unchanged, each once the text in it and before it is clear.

    A text that comes in pieces is held back as by `Firewall.guard_stream`, and ends where another begins or an item
    comes that is no piece. What repeats a text that was clear is not screened again. Ends where the source does, or
    before the items with text of the window in which flagged text was found; of these only such can be out as were
    allowed to go early (`HoldBack.look_ahead`, `HoldBack.max_delay_ms`).

    To be read within `async with GuardedItems(...) as guarded:`, which closes the source at once when reading ends,
    in the same task: see `Guarded`.
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
            source: The items. It is closed when this ends.
            channel: Where the text comes from, as of `Firewall.screen`.
            hold_back: How far it is held back; None: as by default. Items are looked at again only when one comes.
            cancel: Stops what writes the source: called before the source is closed, if that has not ended by then.
            read: Finds what an item says.

        Raises:
            ConfigError: `hold_back` has another mode than `block`: items cannot be changed.
            TypeError: `source` cannot be read by `async for`.
        """
        hold_back = hold_back or HoldBack()
        if hold_back.mode != "block":
            raise ConfigError(f"hold back: mode = {hold_back.mode!r}; items can only be held back with block")
        check_source(source, "items")
        self._waiting = _Waiting(firewall, channel, hold_back, read)
        super().__init__(_run(self._waiting, source, cancel), source, cancel)

    @property
    def stopped(self) -> Verdict | None:
        """The verdict that ended it before its source did; None otherwise."""
        return self._waiting.stopped


async def _run(
    waiting: _Waiting[T], source: AsyncIterable[T], cancel: Callable[[], object] | None
) -> AsyncGenerator[T, None]:
    """Refers to no GuardedItems: one that nobody reads any more is gone at once, and this is closed."""
    try:
        async with aclosing(each(source, cancel)) as items:
            async for item in items:
                await waiting.take(item)
                for clear in waiting.release():
                    yield clear
                if waiting.stopped is not None:
                    return
        await waiting.finish()
        for clear in waiting.release():
            yield clear
    finally:  # it is stopped, the source failed, or whoever reads has gone: nothing more goes out
        waiting.drop()


class _Waiting(Generic[T]):
    """Items that have not gone on yet, and what is known of the text in them.

    Attributes:
        stopped: The verdict after which nothing goes on; None otherwise.
    """

    def __init__(
        self, firewall: Firewall, channel: str, hold_back: HoldBack, read: Callable[[T], Said]
    ) -> None:
        """As of `GuardedItems`."""
        self.stopped: Verdict | None = None
        self._firewall, self._channel, self._hold_back, self._read = firewall, channel, hold_back, read
        self._items: deque[tuple[int, T]] = deque()  # each with the number of characters that must be clear
        self._come = self._clear = 0  # characters of all parts
        self._part: object = None
        self._stream: AsyncTextStream | None = None
        self._arguments: list[str] = []
        self._digest = hashlib.sha256()  # of the part so far
        self._known = {hashlib.sha256().digest()}  # of texts that are clear

    async def take(self, item: T) -> None:
        """Screens what an item says, as far as it can be by now."""
        said = self._read(item)
        if said.part != self._part:
            await self.finish()
            self._part = said.part
        for text in said.whole:
            await self._judge(text)
        if said.part is not None:
            await self._grow(said)
        self._items.append((self._come, item))

    async def finish(self) -> None:
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

    def release(self) -> Iterator[T]:
        """Hands out the items that may go on."""
        while self.stopped is None and self._items and self._items[0][0] <= self._clear:
            yield self._items.popleft()[1]

    def drop(self) -> None:
        """Lets nothing of what waits go on."""
        self._items.clear()
        if self._stream is not None:
            self._stream.abandon()

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
