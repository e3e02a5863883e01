"""The state of a conversation as plain values that JSON can hold, and back again; what comes back is not trusted."""

from __future__ import annotations

import hashlib
import math
import weakref
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.engine import Engine
from alknet_firewall.errors import StateError
from alknet_firewall.stream.evidence import ChannelEvidence, Channels, Found
from alknet_firewall.stream.last_words import MAX_CHARS, LastWords
from alknet_firewall.verdict import CHANNELS

VERSION = 1
_MOST = 1 << 53  # JSON numbers are exact up to here
_LARGEST = 1e6  # nats
_MOST_PARTS, _LONGEST_NAME = 256, 100  # contributions of one behavior
_digests: dict[int, str] = {}  # of codebooks in use: it takes a while


@dataclass
class ConversationMemory:
    """What is kept of a conversation: bounded, however long it is.

    Attributes:
        turns: That were taken.
        tokens: That were read.
        alone: What was found in turns, by channel.
        joined: What was found in turns that were read with what was said before, by channel.
        last_words: The end of what was said.
    """

    turns: int = 0
    tokens: int = 0
    alone: Channels = field(default_factory=dict)
    joined: Channels = field(default_factory=dict)
    last_words: LastWords = field(default_factory=LastWords)


def to_state(memory: ConversationMemory, engine: Engine) -> dict[str, Any]:
    """JSON-ready; it holds the last words of the conversation."""
    return {
        "version": VERSION,
        "codebook": _digest(engine.codebook),
        "detector": engine.detector.fingerprint,
        "turns": memory.turns,
        "tokens": memory.tokens,
        "last_words": dict(memory.last_words.words),
        "alone": {name: _plain(found) for name, found in memory.alone.items()},
        "joined": {name: _plain(found) for name, found in memory.joined.items()},
    }


def _plain(found: ChannelEvidence) -> dict[str, Any]:
    return {
        "windows": found.windows,
        "group_log_odds": found.group_log_odds if math.isfinite(found.group_log_odds) else None,
        "strongest": {
            behavior: {
                "log_odds": one.log_odds,
                "contributions": dict(one.contributions),
                "decoded": one.decoded,
            }
            for behavior, one in found.strongest.items()
        },
    }


def from_state(state: object, engine: Engine) -> ConversationMemory:
    """Reads what `to_state` gave.

    Raises:
        StateError: It is malformed, of another version, or of another codebook or detector.
    """
    version = state.get("version") if isinstance(state, dict) else None
    if isinstance(version, int) and version is not True and version != VERSION:
        raise StateError(
            f"the conversation's state is of version {version}; this one reads version {VERSION}"
        )
    keys = ("version", "codebook", "detector", "turns", "tokens", "last_words", "alone", "joined")
    top = _object(state, "the state", keys)
    if version is True or not isinstance(version, int):
        raise _bad("version", "a number")
    for key, own in (("codebook", _digest(engine.codebook)), ("detector", engine.detector.fingerprint)):
        if top[key] != own:
            found = top[key][:12] if isinstance(top[key], str) else type(top[key]).__name__
            raise StateError(
                f"the conversation's state is of another {key}: {found!r}, and this one is {own[:12]}"
            )
    words = {name: _words(text, name) for name, text in _by_channel(top["last_words"], "last_words").items()}
    alone, joined = (
        {
            name: _channel(value, f"{kind}.{name}", engine)
            for name, value in _by_channel(top[kind], kind).items()
        }
        for kind in ("alone", "joined")
    )
    turns, tokens = (_count(top[key], key) for key in ("turns", "tokens"))
    return ConversationMemory(turns, tokens, alone, joined, LastWords(words))


def _channel(value: object, name: str, engine: Engine) -> ChannelEvidence:
    fields = _object(value, name, ("windows", "group_log_odds", "strongest"))
    strongest = fields["strongest"]
    known = {**engine.plugins.behaviors, **engine.codebook.behaviors}
    if not isinstance(strongest, dict) or not known.keys() >= strongest.keys():
        raise _bad(f"{name}.strongest", "an object by behavior")
    needed = set(engine.codebook.group) & engine.behaviors.keys()
    if strongest and not strongest.keys() >= needed:
        raise _bad(f"{name}.strongest", f"an object with all of {', '.join(sorted(needed))}")
    group = fields["group_log_odds"]
    return ChannelEvidence(
        _count(fields["windows"], f"{name}.windows"),
        -math.inf if group is None else _number(group, f"{name}.group_log_odds"),
        {
            behavior: _found(one, f"{name}.strongest.{behavior}")
            for behavior, one in strongest.items()
            if behavior in engine.behaviors  # others were switched off since
        },
    )


def _found(value: object, where: str) -> Found:
    fields = _object(value, where, ("log_odds", "contributions", "decoded"))
    parts, decoded = fields["contributions"], fields["decoded"]
    if not isinstance(parts, dict) or len(parts) > _MOST_PARTS:
        raise _bad(f"{where}.contributions", f"an object of at most {_MOST_PARTS} numbers")
    if not all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in parts):
        raise _bad(f"{where}.contributions", "numbers by short names")
    if decoded is not None and not (isinstance(decoded, str) and len(decoded) <= _LONGEST_NAME):
        raise _bad(f"{where}.decoded", "a short name or null")
    numbers = {name: _number(part, f"{where}.contributions") for name, part in parts.items()}
    return Found(_number(fields["log_odds"], f"{where}.log_odds"), numbers, decoded)


def _object(value: object, where: str, keys: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(keys):
        raise _bad(where, f"an object with the keys {', '.join(keys)}, and no others")
    return value


def _by_channel(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not set(CHANNELS) >= value.keys():
        raise _bad(where, f"an object by channel ({', '.join(CHANNELS)})")
    return value


def _words(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        raise _bad(f"last_words.{name}", f"a text of at most {MAX_CHARS} characters")
    return value


def _count(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _bad(where, "a whole number, not negative")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= _LARGEST:
        raise _bad(where, f"a number between -{_LARGEST:g} and {_LARGEST:g}")
    return float(value)


def _bad(where: str, wanted: str) -> StateError:
    return StateError(f"the conversation's state is damaged: {where} should be {wanted}")  # never the value


def _digest(codebook: Codebook) -> str:
    key = id(codebook)
    if key not in _digests:
        digest = hashlib.sha256(codebook.to_bytes()).hexdigest()
        weakref.finalize(codebook, _digests.pop, key, None)
        _digests[key] = digest
    return _digests[key]
