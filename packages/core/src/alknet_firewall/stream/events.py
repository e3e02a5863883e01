"""What sinks are told: a verdict that was given, with no more of the text than they ask for."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from alknet_firewall.verdict import Verdict


@dataclass(frozen=True, slots=True)
class VerdictEvent:
    """A verdict that was given.

    Attributes:
        time: When, ISO 8601 in UTC.
        channel: Where the text came from.
        verdict: On it.
        whole: Of a turn of a conversation, the verdict on the conversation so far.
        conversation: Name of the conversation, if it has one.
        turn: Number of the turn in the conversation, from 1.
        stream: Name of the stream, if it has one.
        offset: Of a stream, how many of its characters the verdict is about.
        sha256: Of the text in UTF-8; None unless the sink asks for it. A short text can be guessed from it.
        text: The text; None unless the sink asks for it.
        hmac_sha256: Instead of `sha256`, where the sink has a key: without the key nobody can try out texts against it.
        seconds: How long the verdict took; None where nobody measured it.
    """

    time: str
    channel: str
    verdict: Verdict
    whole: Verdict | None = None
    conversation: str | None = None
    turn: int | None = None
    stream: str | None = None
    offset: int | None = None
    sha256: str | None = None
    text: str | None = field(default=None, repr=False)
    hmac_sha256: str | None = None
    seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is None is left out."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told = {name: value for name, value in named.items() if value is not None}
        return {
            name: value.to_dict() if isinstance(value, Verdict) else value for name, value in told.items()
        }


class EventOptions(Protocol):
    """Says what events may hold, as a sink does."""

    include_text: bool
    include_hash: bool
    hash_key: bytes | None


def text_hash(text: str, key: bytes | None = None) -> str:
    """The hash of a text that events hold: SHA-256 of its UTF-8, with a key HMAC-SHA-256; in hexadecimal."""
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest() if key is None else hmac.digest(key, data, "sha256").hex()


def event_of(
    sink: EventOptions,
    verdict: Verdict,
    text: str | None = None,
    *,
    channel: str | None = None,
    whole: Verdict | None = None,
    conversation: str | None = None,
    turn: int | None = None,
    stream: str | None = None,
    offset: int | None = None,
    seconds: float | None = None,
) -> VerdictEvent:
    """An event of now, with no more of the text than the sink asks for."""
    hashed = text_hash(text, sink.hash_key) if text is not None and sink.include_hash else None
    return VerdictEvent(
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        channel=channel or verdict.channel,
        verdict=verdict,
        whole=whole,
        conversation=conversation,
        turn=turn,
        stream=stream,
        offset=offset,
        sha256=hashed if sink.hash_key is None else None,
        text=text if sink.include_text else None,
        hmac_sha256=None if sink.hash_key is None else hashed,
        seconds=seconds,
    )
