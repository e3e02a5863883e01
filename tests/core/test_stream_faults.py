"""Streams: a fault at any step loses nothing and is answered by the policy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import Action, Firewall, FirewallConfig, HoldBack, Verdict, passages
from alknet_firewall.errors import StreamError
from alknet_firewall.stream import incremental
from alknet_firewall.stream.memory import SharedMemory
from alknet_firewall.stream.text_stream import TextStream
from tests.core.test_stream import Tiny, assert_same, chunks, quick, tiny_firewall  # noqa: F401


@pytest.mark.parametrize("policy", ["block", "review", "allow"])
def test_a_fault_is_answered_by_policy_and_nothing_is_lost(
    tiny_firewall: Tiny, policy: str, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    firewall = tiny_firewall(on_error=policy).warm_up()
    text = "the cat " * 60 + "zz " * 60
    stream = firewall.stream("user")
    stream.feed(text[:300])
    with monkeypatch.context() as patch:
        patch.setattr(firewall.engine, "assess", lambda *_: 1 / 0)
        verdict = stream.feed(text[300:450])
        assert verdict.action is Action(policy) and verdict.error == "ZeroDivisionError"
    stream.feed(text[450:])
    assert_same(stream.close(), firewall.screen(text))


def test_a_fault_may_be_raised(tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    firewall = tiny_firewall(on_error="raise").warm_up()
    monkeypatch.setattr(firewall.engine, "assess", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), firewall.stream() as stream:
        stream.feed("the cat " * 60)


def test_weights_that_cannot_be_loaded(tmp_path: Path) -> None:
    firewall = Firewall(FirewallConfig(weights=str(tmp_path / "none.gguf")))
    with firewall.stream() as stream:
        verdict = stream.feed("hello")
    assert verdict.action is Action.BLOCK and verdict.error and stream.verdict.error


# Faults at every step, and what must not be lost by them.


def failing_once(patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Makes a method raise at its next call, and work from then on."""
    works, failed = getattr(owner, name), []

    def once(*given: Any, **named: Any) -> Any:
        if not failed:
            failed.append(True)
            raise MemoryError
        return works(*given, **named)

    patch.setattr(owner, name, once)


@pytest.mark.parametrize("step", ["encode", "normalise", "decoded_views", "extend", "assess", "verdict"])
def test_a_fault_at_any_step_loses_nothing(
    quick: Firewall, step: str, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    engine = quick.engine
    owners: dict[str, tuple[Any, str]] = {
        "encode": (type(engine.detector.tokenizer), "encode"),
        "normalise": (passages, "normalise"),
        "decoded_views": (incremental, "decoded_views"),
        "extend": (type(engine.detector.model), "extend"),
        "assess": (engine, "assess"),
        "verdict": (engine, "verdict"),
    }
    text = "zz zz zz zz " * 20 + "the cat sat. " * 60
    stream = quick.stream("user")
    stream.feed(text[:10])
    with monkeypatch.context() as patch:
        failing_once(patch, *owners[step])
        for piece in chunks(text[10:], [100]):
            stream.feed(piece)
    assert_same(stream.close(), quick.screen(text))


def test_a_load_that_fails_once_loses_nothing(quick: Firewall) -> None:  # noqa: F811
    failed: list[bool] = []

    def load() -> Any:
        if not failed:
            failed.append(True)
            raise OSError("the disk is busy")
        return quick.engine

    stream = TextStream(load, quick.config, "user", SharedMemory(1 << 20), None)
    assert stream.feed("zz " * 60).error == "OSError"
    stream.feed("the cat " * 200)
    assert_same(stream.close(), quick.screen("zz " * 60 + "the cat " * 200))


def test_what_fails_again_and_again_is_not_tried_at_every_piece(
    quick: Firewall, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    tried: list[bool] = []
    monkeypatch.setattr(quick.engine, "assess", lambda *_: tried.append(True) or 1 / 0)
    stream = quick.stream("user")
    for piece in chunks("the cat " * 250, [1]):
        assert not stream.feed(piece).flagged or stream.verdict.error
    assert 1 <= len(tried) <= 5


def test_an_abandoned_stream_has_no_verdict(quick: Firewall) -> None:  # noqa: F811
    stream = quick.stream("user")
    stream.feed("zz " * 60)
    stream.abandon()
    with pytest.raises(StreamError, match="abandoned"):
        stream.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_stream_does_not_cross_a_fork(quick: Firewall) -> None:  # noqa: F811
    stream = quick.stream("user")
    stream.feed("the cat " * 40)
    child = os.fork()
    if child == 0:
        try:
            stream.feed("more")
        except StreamError as error:
            os._exit(0 if "forked" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stream.close() == quick.screen("the cat " * 40)


def test_text_without_tokens_is_not_held_for_ever(quick: Firewall) -> None:  # noqa: F811
    stream, out = quick.stream("user", hold_back=HoldBack()), 0
    stream.feed("hello ")
    for _ in range(200):
        stream.feed("\u200b" * 2000)
        out += len(stream.release())
    assert 400_006 - out <= 2 * 65_536 and stream.stopped is None


def test_the_detector_never_runs_on_the_event_loop(quick: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    assess, where = quick.engine.assess, set()

    def noting(*given: Any) -> Any:
        where.add(threading.current_thread() is threading.main_thread())
        return assess(*given)

    monkeypatch.setattr(quick.engine, "assess", noting)

    async def run() -> None:
        async with quick.stream_async("user", hold_back=HoldBack(max_delay_ms=0)) as stream:
            for _ in range(20):
                await stream.feed("word ")
                await stream.release()
            await stream.feed("the cat " * 100)

    asyncio.run(run())
    assert where == {False}


def test_a_cancelled_call_goes_on_and_the_next_one_waits(quick: Firewall) -> None:  # noqa: F811
    async def run() -> Verdict:
        stream = quick.stream_async("user")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stream.feed("the cat " * 400), 0.001)
        await stream.feed("zz " * 30)
        return await stream.close()

    assert_same(asyncio.run(run()), quick.screen("the cat " * 400 + "zz " * 30))
