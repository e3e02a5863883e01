"""Very long texts: bounded memory, a verdict always, and `on_long` also where hardly anything of the text is left."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alknet_firewall import Action, Firewall, FirewallConfig
from alknet_firewall.passages import SLICE_CHARS

Make = Callable[..., Firewall]
JUNK = {
    "one letter": "a",
    "nothing to be seen": "\u200b",
    "surrogates": "\ud800",
    "spaces": " ",
    "marks": "\u0301",
}


@pytest.fixture
def make(settings: Path) -> Iterator[Make]:
    yield lambda **own: Firewall(FirewallConfig.from_file(settings, **own))


@pytest.mark.parametrize("policy", ["review", "block"])
@pytest.mark.parametrize("junk", JUNK)
def test_text_of_which_little_is_left_is_long_text(make: Make, junk: str, policy: str) -> None:
    text = JUNK[junk] * (4 * SLICE_CHARS)
    verdict = make(max_tokens=1000, on_long=policy).screen(text)
    assert verdict.truncated and verdict.action is Action(policy) and verdict.error is None
    assert verdict.tokens <= 1000


@pytest.mark.parametrize("junk", JUNK)
def test_all_of_it_is_read_where_that_is_asked_for(make: Make, junk: str) -> None:
    text = JUNK[junk] * (4 * SLICE_CHARS) + " " + "z" * 60
    verdict = make(max_tokens=1000, on_long="screen_all").screen(text)
    assert not verdict.truncated and verdict.error is None and verdict.action is Action.BLOCK
    assert verdict.spans[0].start >= 4 * SLICE_CHARS - 64


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("slices", [1, 3])
def test_a_stream_is_judged_as_the_whole(make: Make, junk: str, slices: int) -> None:
    firewall = make(max_tokens=1000)
    text = JUNK[junk] * (slices * SLICE_CHARS)
    whole = firewall.screen(text, "response")
    with firewall.stream() as stream:
        for at in range(0, len(text), SLICE_CHARS // 3):
            stream.feed(text[at : at + SLICE_CHARS // 3])
    assert (stream.verdict.action, stream.verdict.truncated) == (whole.action, whole.truncated)
    assert whole.truncated == (slices == 3)


@pytest.mark.parametrize("unit", ["some words here ", "a", "\U0001f600\U0001f601", "\ufdfa\ufdfb"])
def test_memory_does_not_grow_with_the_text(make: Make, unit: str) -> None:
    firewall = make(max_tokens=2000).warm_up()

    def most(n: int) -> int:
        text = unit * (n // len(unit))
        tracemalloc.start()
        try:
            assert firewall.screen(text, deadline_ms=100_000).error is None
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    little, much = most(2 * SLICE_CHARS), most(30 * SLICE_CHARS)
    assert much < 1.5 * little + (8 << 20) and much < 128 << 20


def test_a_hundred_megabytes_have_a_verdict(make: Make) -> None:
    text = "ab" * 50_000_000
    verdict = make().screen(text, "document")
    assert verdict.truncated and verdict.action is Action.REVIEW and verdict.error is None
    late = make(on_long="screen_all").screen(text, "document", deadline_ms=50)
    assert late.action is Action.BLOCK and "deadline of 50 ms" in str(late.error)
