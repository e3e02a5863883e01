"""What a caller must give: a text, a channel, maybe a deadline; anything else is misuse, and raises."""

from __future__ import annotations

from alknet_firewall.verdict import CHANNELS


def check_channel(channel: object) -> None:
    """Raises ValueError unless `channel` is one of the four."""
    if channel not in CHANNELS:
        named = (
            repr(channel) if len(str(channel)) <= 20 else f"of {len(str(channel))} characters"
        )  # or the text?
        raise ValueError(f"unknown channel {named}; it is one of {', '.join(CHANNELS)}")


def check_text(text: object) -> None:
    """Raises TypeError unless `text` is a string."""
    if not isinstance(text, str):
        hint = "decode it first, text.decode('utf-8', 'replace')" if isinstance(text, bytes) else "pass a str"
        raise TypeError(f"cannot screen {type(text).__name__}: {hint}")


def check_deadline(deadline_ms: object) -> None:
    """Raises TypeError or ValueError unless `deadline_ms` is None or a number of milliseconds above 0."""
    if deadline_ms is None:
        return
    if isinstance(deadline_ms, bool) or not isinstance(deadline_ms, (int, float)):
        raise TypeError(f"deadline_ms is a number of milliseconds or None, not {type(deadline_ms).__name__}")
    if not deadline_ms > 0:  # as of NaN, too
        raise ValueError(f"deadline_ms is {deadline_ms}: it should be above 0")
