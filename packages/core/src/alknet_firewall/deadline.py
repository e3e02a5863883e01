"""A deadline: when an answer is due, counted from the call."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from alknet_firewall.errors import DeadlineError

_LONGEST = threading.TIMEOUT_MAX * 1000  # ms: nothing waits for longer than some hundred years


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an answer is due.

    Attributes:
        ms: How long after the call, in milliseconds, as the caller or the settings gave it.
        until: The time on the monotonic clock, in seconds: nothing that is done to the system's clock moves it.
    """

    ms: float
    until: float

    @classmethod
    def after(cls, ms: float | None) -> Deadline | None:
        """The deadline of a call that is made now; None for none, as for `math.inf`, or what nobody lives to see."""
        return None if ms is None or ms >= _LONGEST else cls(ms, time.monotonic() + ms / 1000)

    @property
    def left(self) -> float:
        """Seconds that are left; 0 once it has passed."""
        return max(0.0, self.until - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.until

    def error(self) -> DeadlineError:
        """What a caller is told for whom there was no answer in time."""
        return DeadlineError(f"no verdict within the deadline of {self.ms:g} ms")
