"""The state of a conversation as plain values that JSON can hold, and back again; what comes back is not trusted.

A state carries a checksum, so that what was damaged is refused. With the setting `state_key` that is a MAC
(HMAC-SHA-256, RFC 2104): who does not have the key cannot make a state, or change one. Without it whoever holds a state
can take out what was found so far; they cannot make any turn pass that would not pass as the first of a conversation.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.engine import Engine
from alknet_firewall.errors import StateError
from alknet_firewall.stream.evidence import ChannelEvidence, Channels, Found
from alknet_firewall.stream.last_words import MAX_CHARS, LastWords
from alknet_firewall.verdict import CHANNELS

VERSION = 2
_MOST = 1 << 53  # JSON numbers are exact up to here
_LARGEST = 1e6  # nats
_CHECK = "check"
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
    state: dict[str, Any] = {
        "version": VERSION,
        "codebook": _digest(engine.codebook),
        "detector": engine.detector.fingerprint,
        "turns": memory.turns,
        "tokens": memory.tokens,
        "last_words": dict(memory.last_words.words),
        "alone": {name: _plain(found) for name, found in memory.alone.items()},
        "joined": {name: _plain(found) for name, found in memory.joined.items()},
    }
    return {**state, _CHECK: state_check(state, engine.config.state_key)}


def state_check(state: dict[str, Any], key: str | None) -> str:
    """What a state carries: its checksum, or its MAC where there is a key.

    The same after a way through stores that order keys anew, or write 1.0 as 1.

    Raises:
        StateError: There is something else in it than JSON has.
    """
    try:
        told = json.dumps(_numbers_alike(state), sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError, OverflowError):
        raise _bad("it", "JSON") from None
    if key is None:
        return f"sha256:{hashlib.sha256(told).hexdigest()}"
    return f"hmac:{hmac.new(key.encode(), told, hashlib.sha256).hexdigest()}"


def _numbers_alike(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_alike(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_numbers_alike(one) for one in value]
    return float(value) + 0.0 if isinstance(value, (int, float)) and not isinstance(value, bool) else value


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
        StateError: It is malformed, damaged, of another version, of another codebook or detector, or was not made with
            the key of this configuration.
    """
    if isinstance(state, Mapping):
        state = dict(state)
    version = state.get("version") if isinstance(state, dict) else None
    if isinstance(version, int) and version is not True and version != VERSION:
        shown = version if abs(version) <= _MOST else "..."
        raise StateError(f"the conversation's state is of version {shown}; this one reads version {VERSION}")
    keys = ("version", "codebook", "detector", "turns", "tokens", "last_words", "alone", "joined", _CHECK)
    top = _object(state, "the state", keys)
    if version is True or not isinstance(version, int):
        raise _bad("version", "a number")
    check = state_check(
        {name: value for name, value in top.items() if name != _CHECK}, engine.config.state_key
    )
    given = top[_CHECK].encode("utf-8", "replace") if isinstance(top[_CHECK], str) else b""
    if not hmac.compare_digest(given, check.encode()):
        kept = "was not made with this state_key, or " if engine.config.state_key is not None else ""
        raise StateError(f"the conversation's state {kept}is damaged: its checksum differs")
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
    if not all(map(_is_name, parts)):
        raise _bad(f"{where}.contributions", "numbers by short names")
    if decoded is not None and not _is_name(decoded):
        raise _bad(f"{where}.decoded", "a short name or null")
    numbers = {name: _number(part, f"{where}.contributions") for name, part in parts.items()}
    return Found(_number(fields["log_odds"], f"{where}.log_odds"), numbers, decoded)


def _is_name(value: object) -> bool:
    """Whether it can be shown: names go into verdicts."""
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable()


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
