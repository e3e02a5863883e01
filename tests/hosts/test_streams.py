"""Every host that streams: of a flagged answer the canary never comes out, however it is cut into pieces."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import pytest

from alknet_firewall import FirewallConfig
from tests.hosts.cases import ATTACKS, BENIGN, CANARY
from tests.hosts.contract import HOSTS, StreamingHost, load_host, missing

CONFIG = FirewallConfig(plugins=(), threads=1)
ATTACK = ATTACKS["response"]
HARMLESS = (
    "The museum of local history was founded by a teacher who collected tools, letters and photographs. "
    "Its first rooms were above the bakery, and visitors came mostly on market days. In spring the garden is open "
    "as well, with old kinds of apples and a small pond. School classes can book a guide two weeks ahead. "
)
STEP = {"bare": 1}
"""The payload is cut at every character for the bare firewall, which is what decides; at every 13th for the others."""
FLOWING = [
    ("bare", "guard_stream"),
    ("nemo", "streamed output, guarded"),
    ("openai_agents", "response, held back"),
    ("langchain", "response, streamed"),
    ("litellm", "response, streamed"),
]
"""Slots that hand harmless text on while the model is still writing; the others wait for its end."""
_LOADED = {name: load_host(name) for name in HOSTS}
STREAMS = [
    pytest.param(name, slot, id=f"{name}-{slot}")
    for name, host in _LOADED.items()
    if isinstance(host, StreamingHost)
    for slot in host.streams
]


@dataclass
class Seen:
    """What came out: to be read, and everything; and whether the host stopped it."""

    shown: str = ""
    returned: str = ""
    stopped: bool = False
    early: list[str] = field(default_factory=list)

    def show(self, text: str, everything: str) -> None:
        self.shown += text
        self.returned += everything


def in_sizes(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def cut(text: str, *places: int) -> list[str]:
    return [text[start:end] for start, end in zip((0, *places), (*places, len(text)))]


async def writing(pieces: Iterable[str]) -> AsyncIterator[str]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def run(host: str, slot: str, source: AsyncIterator[str], seen: Seen | None = None) -> Seen:
    seen = Seen() if seen is None else seen
    streaming = _LOADED[host]
    assert isinstance(streaming, StreamingHost)
    seen.stopped = await streaming.run_stream(slot, source, CONFIG, seen.show)
    return seen


@pytest.fixture(autouse=True)
def _installed(host: str) -> None:
    if absent := missing(_LOADED[host]):
        pytest.skip(f"{host}: {', '.join(absent)} not installed")


async def _none_leaks(host: str, slot: str, cuts: Iterable[list[str]]) -> None:
    for pieces in cuts:
        seen = await run(host, slot, writing(pieces))
        assert seen.stopped, pieces
        assert CANARY not in seen.returned, pieces


@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_payload_in_two_pieces(host: str, slot: str) -> None:
    cuts = [cut(ATTACK, place) for place in range(0, len(ATTACK) + 1, STEP.get(host, 13))]
    asyncio.run(_none_leaks(host, slot, cuts))


@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_payload_in_three_pieces(host: str, slot: str) -> None:
    chance = random.Random(0)
    pairs = [sorted(chance.sample(range(len(ATTACK)), 2)) for _ in range(40 if host == "bare" else 10)]
    asyncio.run(_none_leaks(host, slot, [cut(ATTACK, *pair) for pair in pairs]))


@pytest.mark.parametrize("size", [1, 5, 40])
@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_payload_in_the_middle_of_harmless_text(host: str, slot: str, size: int) -> None:
    text = f"{HARMLESS * 5}\n\n{ATTACK}\n\n{HARMLESS}"
    seen = asyncio.run(run(host, slot, writing(in_sizes(text, size))))
    assert seen.stopped
    assert CANARY not in seen.returned
    assert text.startswith(seen.shown), "what came out is a beginning of what was written"
    assert "IMPORTANT SYSTEM" not in seen.shown


@pytest.mark.parametrize("size", [1, 5, 40, 10_000])
@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_harmless_text_arrives_whole(host: str, slot: str, size: int) -> None:
    for text in (BENIGN["response"], HARMLESS * 3, "Done."):
        seen = asyncio.run(run(host, slot, writing(in_sizes(text, size))))
        assert (seen.shown, seen.stopped) == (text, False)


@pytest.mark.parametrize(("host", "slot"), [each for each in STREAMS if tuple(each.values) in FLOWING])
def test_harmless_text_flows_while_the_model_writes(host: str, slot: str) -> None:
    seen = Seen()

    async def watched() -> AsyncIterator[str]:
        for piece in in_sizes(HARMLESS * 8, 5):
            await asyncio.sleep(0.001)
            yield piece
        seen.early.append(seen.shown)

    asyncio.run(run(host, slot, watched(), seen))
    late = len(HARMLESS * 8) - len(seen.early[0])
    assert late < 1300, "about a window of 192 tokens"


@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_a_source_that_raises(host: str, slot: str) -> None:
    seen, begun = Seen(), ATTACK[: ATTACK.index(CANARY) + len(CANARY)]

    async def breaking() -> AsyncIterator[str]:
        for piece in in_sizes(f"{HARMLESS * 2}\n\n{begun}", 7):
            yield piece
        raise ConnectionError("the model has gone")

    with contextlib.suppress(Exception):  # hosts hand the error on, or another in its place, or tell it in the stream
        asyncio.run(asyncio.wait_for(run(host, slot, breaking(), seen), 60))
    assert CANARY not in seen.returned


@pytest.mark.parametrize(("host", "slot"), STREAMS)
def test_whoever_reads_goes_away(host: str, slot: str) -> None:
    seen, begun = Seen(), ATTACK[: ATTACK.index(CANARY) + len(CANARY)]

    async def stalling(waiting: asyncio.Event) -> AsyncIterator[str]:
        for piece in in_sizes(f"{HARMLESS * 2}\n\n{begun}", 7):
            yield piece
        waiting.set()
        await asyncio.sleep(3600)

    async def leave() -> None:
        waiting = asyncio.Event()
        task = asyncio.create_task(run(host, slot, stalling(waiting), seen))
        await asyncio.wait_for(waiting.wait(), 60)
        await asyncio.sleep(0.05)
        while not task.done():  # NeMo waits for the model once more
            task.cancel()
            await asyncio.sleep(0.05)
        assert task.cancelled()

    asyncio.run(asyncio.wait_for(leave(), 90))
    assert CANARY not in seen.returned
