"""What a caller must give: a text and a channel; anything else is misuse, and raises."""

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
