"""Passes a stream on only as far as it has been screened, so that what is flagged stays here with its first words.

A window is judged for good when it is full, and until then its text stays here. If haste is asked for, what is plainly
harmless may go earlier: where a window that is still open looks like most benign text does, all of it but the last
words goes on.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from alknet_firewall.errors import ConfigError
from alknet_firewall.stream.incremental import Look, Screening
from alknet_firewall.text.ranges import joined
from alknet_firewall.verdict import NOTICE, Action, Span, Verdict

_MOST_HELD = 1 << 16  # characters: beyond, as of text without a token for long, it is judged as it stands
_MOST_CUTS = 8  # times that what is left of a flagged window is screened again, before all of it is taken out


@dataclass(frozen=True, slots=True)
class HoldBack:
    """How a stream is held back.

    Attributes:
        mode: What becomes of flagged text: `block` ends the stream there; `redact` puts `notice` in its place and goes
            on; `observe` holds nothing back, and only the verdicts tell.
        look_ahead: Tokens that must follow a word before it may leave a window that is still open, 32 for example;
            None: none leaves before its window is full, and nothing of what is flagged in it has gone out.
        clear_rate: A window that is still open is harmless for now if at least this share of benign text looks worse.
        max_delay_ms: Text that has waited for so long, in ms, is judged as it stands and passed on unless it is
            flagged; None: it waits for its window, however slow the source is. What is recognised only by the words
            that follow may then have gone out.
        notice: What stands in place of flagged text.
    """

    mode: Literal["block", "redact", "observe"] = "block"
    look_ahead: int | None = None
    clear_rate: float = 0.2
    max_delay_ms: float | None = None
    notice: str = NOTICE

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ConfigError: One of them is not allowed.
        """
        if self.mode not in ("block", "redact", "observe"):
            raise ConfigError(f"hold back: mode = {self.mode!r}; it is block, redact or observe")
        if self.look_ahead is not None and not (isinstance(self.look_ahead, int) and self.look_ahead >= 1):
            wanted = self.look_ahead
            raise ConfigError(f"hold back: look_ahead = {wanted!r}; it is a number of tokens from 1 on, or None")
        if not 0 < self.clear_rate <= 1:
            raise ConfigError(f"hold back: clear_rate = {self.clear_rate}; it is a rate above 0, up to 1")
        if self.max_delay_ms is not None and not self.max_delay_ms >= 0:
            raise ConfigError(f"hold back: max_delay_ms = {self.max_delay_ms}; it is a time in ms, or None")
        if not isinstance(self.notice, str):
            raise ConfigError(f"hold back: notice is a {type(self.notice).__name__}; it is a text")


class Holder:
    """The text of one stream that has not gone out yet.

    Attributes:
        stopped: The verdict that ended the stream; None while it goes on.
    """

    def __init__(self, settings: HoldBack) -> None:
        """Holds nothing yet."""
        self._settings = settings
        self._text = ""
        self._start = 0  # of `_text` in the stream
        self._clear = 0  # up to here the stream may go out
        self._withheld: list[tuple[int, int]] = []  # what `redact` takes out, not overlapping
        self._arrived: deque[tuple[int, float]] = deque()  # where pieces ended, and when they came
        self.stopped: Verdict | None = None

    def add(self, text: str) -> None:
        """Takes what has arrived."""
        if self.stopped is not None or not text:
            return
        self._text += text
        end = self._start + len(self._text)
        if self._settings.mode == "observe":
            self._clear = end
        else:
            self._arrived.append((end, time.monotonic()))

    def overdue_in(self) -> float | None:
        """Seconds until text has waited for too long; None if it may wait, or none does."""
        try:
            _, came = self._arrived[0]
        except IndexError:
            return None
        if self._settings.max_delay_ms is None or self.stopped is not None:
            return None
        return came + self._settings.max_delay_ms / 1000 - time.monotonic()

    def update(self, screening: Screening, *, finished: bool = False) -> None:
        """Looks at what was found since the last time."""
        if self._settings.mode == "observe":
            screening.take_looks()
            return
        for look in screening.take_looks():
            self._judge(screening, look)
        if screening.verdict.truncated and screening.verdict.flagged:
            self._stop(screening.verdict)  # what comes is not read any more
        overdue = self.overdue_in()
        if finished:
            self._pass_up_to(screening.length)
        elif (overdue is not None and overdue <= 0) or len(self._text) > _MOST_HELD:
            for look in [*screening.look_now(), *screening.take_looks()]:
                self._judge(screening, look)
            self._pass_up_to(screening.length)
        else:
            clear = max(screening.settled, self._harmless_up_to(screening))
            for start, end in screening.disguised.tolist():
                if start < clear and end >= screening.settled:
                    clear = start  # it may go on, and mean something else
            self._pass_up_to(clear)

    def fail(self, verdict: Verdict) -> None:
        """Screening failed: the policy's verdict ends the stream, or lets everything pass."""
        if verdict.flagged:
            self._stop(verdict)
        else:
            self._pass_up_to(self._start + len(self._text))

    def drop(self) -> None:
        """Lets nothing of what waits go out."""
        self._clear, self._text = self._start, ""
        self._arrived.clear()

    def release(self) -> str:
        """Hands out what may go out; nothing after the stream was ended."""
        parts: list[str] = []
        while self._start < self._clear:
            first = next(((start, end) for start, end in self._withheld if end > self._start), None)
            if first is None or first[0] >= self._clear:
                parts.append(self._take(self._clear))
            elif first[0] > self._start:
                parts.append(self._take(first[0]))
            elif first[1] <= self._clear:  # a notice stands for the whole of it, once
                self._take(first[1])
                parts.append(self._settings.notice)
            else:
                break
        self._withheld = [(start, end) for start, end in self._withheld if end > self._start]
        return "".join(parts)

    def _take(self, until: int) -> str:
        count = until - self._start
        text, self._text = self._text[:count], self._text[count:]
        self._start = until
        return text

    def _judge(self, screening: Screening, look: Look) -> None:
        """Does what the settings say with a window, by itself, if it is flagged."""
        verdict = screening.alone(look)
        if not verdict.flagged:
            return
        if self._settings.mode == "block":
            self._stop(verdict)
            return
        first, last = int(look.piece.origin[0, 0]), int(look.piece.origin[-1, 1])
        left = _MOST_CUTS
        parts = [(max(first, self._start), last, verdict)]
        while parts:  # what stands before and behind a span may be flagged as well
            start, end, verdict = parts.pop()
            if not verdict.flagged or start >= end:
                continue
            acting = (alarm.span for alarm in verdict.alarms if alarm.action is not Action.ALLOW and alarm.span)
            spans = ((max(span.start, start), min(span.end, end)) for span in acting)
            cut = next(((a, b) for a, b in spans if a < b), None)
            if cut is None or left == 0:
                cut = (start, end)
            self._withheld = joined([*self._withheld, cut])
            for a, b in ((start, cut[0]), (cut[1], end)):
                if left and self._text[a - self._start : b - self._start].strip():
                    left -= 1
                    own = screening.screened(self._text[a - self._start : b - self._start])
                    parts.append((a, b, _moved(own, a)))
                elif a < b and not left:
                    self._withheld = joined([*self._withheld, (a, b)])

    def _harmless_up_to(self, screening: Screening) -> int:
        """How much of the open window may go on."""
        look, look_ahead = screening.open_look, self._settings.look_ahead
        if look is None or look_ahead is None or len(look.piece.ids) <= look_ahead:
            return 0
        if screening.alone(look).false_alarm_rate < self._settings.clear_rate:
            return 0
        return int(look.piece.origin[len(look.piece.ids) - look_ahead, 0])

    def _pass_up_to(self, place: int) -> None:
        if self.stopped is None:
            self._clear = max(self._clear, place)
            while self._arrived and self._arrived[0][0] <= self._clear:
                self._arrived.popleft()

    def _stop(self, verdict: Verdict) -> None:
        if self.stopped is None and self._settings.mode != "observe":
            self.stopped = verdict
            self._text = self._text[: max(0, self._clear - self._start)]  # what is clear may still be asked for
            self._arrived.clear()


def _moved(verdict: Verdict, by: int) -> Verdict:
    """The verdict on a part of a text, its spans in the text."""
    alarms = (
        replace(alarm, span=None if alarm.span is None else Span(alarm.span.start + by, alarm.span.end + by))
        for alarm in verdict.alarms
    )
    return replace(verdict, alarms=tuple(alarms))
