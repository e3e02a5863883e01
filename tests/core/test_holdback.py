"""What is held back: no character of a flagged span goes out, whatever the pieces, and harmless text arrives whole."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence

import pytest

from alknet_firewall import NOTICE, Firewall, FirewallConfig, HoldBack
from alknet_firewall.errors import StreamError
from alknet_firewall.stream.text_stream import TextStream
from tests.core.test_firewall import ATTACK, BENIGN
from tests.core.test_stream import Tiny, chunks, quick, tiny_firewall  # noqa: F401

LETTER = "Dear Anna, the slides for the meeting on Monday are ready and lie in the usual folder. "
OPENING = LETTER * 3
PAYLOAD = f"{ATTACK}. {ATTACK}, word for word!"
TEXT = f"{OPENING}{PAYLOAD} {LETTER * 4}"


def passed(stream: TextStream, pieces: Sequence[str]) -> str:
    """What goes out of a stream that is read after every piece."""
    out = ""
    for piece in pieces:
        stream.feed(piece)
        out += stream.release()
    stream.close()
    return out + stream.release()


# Block.


def test_the_payload_is_flagged_as_a_whole(firewall: Firewall) -> None:
    assert firewall.screen(TEXT, "document").flagged
    assert not firewall.screen(OPENING + LETTER * 4, "document").flagged


@pytest.mark.parametrize(
    "settings", [HoldBack(), HoldBack(look_ahead=32), HoldBack(look_ahead=8, clear_rate=0.5)]
)
@pytest.mark.parametrize("sizes", [[len(TEXT)], [40], [7, 300], [1]])
def test_nothing_of_the_payload_goes_out(firewall: Firewall, settings: HoldBack, sizes: list[int]) -> None:
    stream = firewall.stream("document", hold_back=settings)
    out = passed(stream, list(chunks(TEXT, sizes)))
    assert TEXT.startswith(out) and len(out) <= len(OPENING)
    assert stream.stopped is not None and stream.stopped.flagged and stream.verdict.flagged
    with pytest.raises(StreamError, match="closed"):
        stream.feed("more")


def test_split_anywhere_the_payload_stays(firewall: Firewall) -> None:
    start, end = len(LETTER) * 2, len(LETTER) * 2 + len(ATTACK)
    text = f"{LETTER * 2}{ATTACK}. {LETTER}"
    assert firewall.screen(text, "document").flagged
    rng = random.Random(0)
    for cut in range(start, end + 1):
        for cuts in ([cut], [cut, rng.randrange(cut, len(text))]):
            stream = firewall.stream("document", hold_back=HoldBack())
            out = passed(stream, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])])
            assert text.startswith(out) and len(out) <= start and stream.stopped is not None


def test_harmless_text_arrives_whole_and_in_time(firewall: Firewall) -> None:
    text = LETTER * 30
    stream = firewall.stream("document", hold_back=HoldBack())
    out, waiting = "", []
    for at, piece in enumerate(chunks(text, [20])):
        stream.feed(piece)
        out += stream.release()
        waiting.append((at + 1) * 20 - len(out))
    stream.close()
    assert out + stream.release() == text and stream.stopped is None
    assert max(waiting) < 192 * 6, "a window at most"
    assert sorted(waiting)[len(waiting) // 2] < 96 * 6


def test_a_verdict_of_failure_stops_it(tiny_firewall: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for policy, goes_out in (("block", ""), ("review", ""), ("allow", "the cat " * 60)):
        firewall = tiny_firewall(on_error=policy).warm_up()
        monkeypatch.setattr(firewall.engine, "assess", lambda *_: 1 / 0)
        stream = firewall.stream("user", hold_back=HoldBack())
        assert passed(stream, ["the cat " * 60]) == goes_out
        assert (stream.stopped is None) == bool(goes_out) and stream.verdict.error


def test_text_that_is_too_long_stops_it() -> None:
    firewall = Firewall(FirewallConfig(on_long="block", max_tokens=300))
    stream = firewall.stream("document", hold_back=HoldBack())
    out = passed(stream, list(chunks(LETTER * 40, [30])))
    assert (LETTER * 40).startswith(out) and len(out) < 300 * 6
    assert stream.stopped is not None and stream.stopped.truncated


# Redact, observe, and time.


@pytest.mark.parametrize("sizes", [[len(TEXT)], [13], [1]])
def test_redacted_text_goes_on(firewall: Firewall, sizes: list[int]) -> None:
    stream = firewall.stream("document", hold_back=HoldBack(mode="redact"))
    out = passed(stream, list(chunks(TEXT, sizes)))
    assert stream.stopped is None and stream.verdict.flagged
    assert NOTICE in out and "previous instructions" not in out and "system prompt" not in out
    assert out.startswith(OPENING[:-20]) and out.endswith(LETTER * 3)


@pytest.mark.parametrize("sizes", [[15], [5000]])
@pytest.mark.parametrize("gap", [2, 4, 6])
def test_every_payload_is_redacted(firewall: Firewall, gap: int, sizes: list[int]) -> None:
    line = "The weather in May is mild. We went for a walk by the lake and had coffee. "
    text = f"{line * 3}{ATTACK}. {line * gap}{ATTACK}. {line * 12}"
    stream = firewall.stream("document", hold_back=HoldBack(mode="redact"))
    out = passed(stream, list(chunks(text, sizes)))
    assert "previous instructions" not in out and NOTICE in out
    assert not firewall.screen(out, "document").flagged


def test_a_disguise_that_comes_again_is_redacted_again(firewall: Firewall) -> None:
    hidden = base64.b64encode(f"{ATTACK}. {ATTACK}!".encode()).decode()
    line = "The weather in May is mild. We went for a walk by the lake and had coffee. "
    chunk = f"{(line * 40)[:2500]} keep this: {hidden} {(line * 40)[:2500]}\n"
    stream = firewall.stream("document", hold_back=HoldBack(mode="redact"))
    assert hidden[4:-4] not in passed(stream, [chunk] * 3)


def test_observing_loses_nothing(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Firewall(FirewallConfig(max_tokens=16))
    stream = short.stream("document", hold_back=HoldBack(mode="observe"))
    assert passed(stream, [LETTER * 60] * 20) == LETTER * 1200 and stream.verdict.truncated
    stream = short.stream("document", hold_back=HoldBack(mode="observe"))
    monkeypatch.setattr(short.engine, "assess", lambda *_: 1 / 0)
    assert passed(stream, [LETTER] * 20) == LETTER * 20 and stream.verdict.error


def test_what_was_clear_may_be_asked_for_after_the_stop(firewall: Firewall) -> None:
    stream = firewall.stream("document", hold_back=HoldBack())
    stream.feed(LETTER * 40)
    stream.feed(TEXT * 2)
    assert stream.stopped is not None
    out = stream.release()
    assert (LETTER * 40 + OPENING).startswith(out) and len(out) > 2000


def test_looking_before_its_time_changes_nothing_later(firewall: Firewall) -> None:
    stream = firewall.stream("document", hold_back=HoldBack(max_delay_ms=0))
    for piece in chunks(LETTER * 10, [7]):
        stream.feed(piece)
        assert stream.release() == piece
    assert stream.close() == firewall.screen(LETTER * 10, "document")


def test_observed_text_goes_out_at_once(firewall: Firewall) -> None:
    stream = firewall.stream("document", hold_back=HoldBack(mode="observe"))
    for piece in chunks(TEXT, [30]):
        stream.feed(piece)
        assert stream.release() == piece
    assert stream.close().flagged and stream.stopped is None


def test_waiting_may_be_bounded_in_time(firewall: Firewall) -> None:
    patient, hasty = (firewall.stream("document", hold_back=HoldBack(max_delay_ms=ms)) for ms in (None, 0))
    for stream, expected in ((patient, ""), (hasty, BENIGN)):
        stream.feed(BENIGN)
        assert stream.release() == expected
    hasty.feed(" " + ATTACK)
    assert hasty.release() == "" and hasty.stopped is not None


def test_memory_is_that_of_what_waits(quick: Firewall) -> None:  # noqa: F811
    stream = quick.stream("user", hold_back=HoldBack())
    for _ in range(300):
        stream.feed("the cat sat on the mat. " * 20)
        stream.release()
        assert stream._holder is not None and len(stream._holder._text) < 2000
