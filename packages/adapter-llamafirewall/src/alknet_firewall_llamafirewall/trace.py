"""What was said before: LlamaFirewall hands over all messages with each one, and only the last is read anew."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from typing import Any

from alknet_firewall import Firewall, Verdict, read_content

BLOCK = 32
"""So many messages before the last one are considered at least, and fewer than twice as many."""
KEPT = 1024
"""Traces that are remembered, with the last words of each: 1 or 2 kB a trace, at most 30."""

_CHANNELS = {"user": "user", "tool": "tool", "assistant": "response", "memory": "document", "system": "user"}


class Traces:
    """Judges a message alone and with those before it; knows traces again by the hash of their messages."""

    def __init__(self, firewall: Firewall) -> None:
        """Takes a loaded firewall."""
        self._firewall, self._lock = firewall, threading.Lock()
        self._known: dict[bytes, tuple[dict[str, Any], float]] = {}

    def judge(self, message: Any, past: Sequence[Any]) -> tuple[list[Verdict], Verdict | None]:
        """Verdicts on the texts of a message; and the one on the whole, if the message has made that worse.

        What is considered depends on the messages alone, not on what is remembered. System messages of the past are
        left out: they are the application's own.
        """
        # From a multiple of BLOCK, and not the last so many: then a trace that grows is known again.
        recent = past[max(0, len(past) // BLOCK - 1) * BLOCK :]
        trace = [_texts(each) for each in recent if each.role.value != "system"] + [_texts(message)]
        keys = [b""]
        for each in trace:
            keys.append(hashlib.sha256(keys[-1] + json.dumps(each).encode()).digest())
        known = self._known.copy()  # others may add and drop meanwhile
        start = max((at for at in range(len(trace)) if keys[at] in known), default=0)
        # By itself the first message cannot make anything worse.
        state, score = known.get(keys[start], (None, 1.0))
        conversation = self._firewall.resume_conversation(state) if state else self._firewall.conversation()
        sound = True
        for key, (channel, texts) in zip(keys[start + 1 :], trace[start:]):
            before, turns = score, [conversation.add(text, channel) for text in texts]
            whole, score = turns[-1].whole, turns[-1].whole.score
            sound = sound and all(turn.whole.error is None for turn in turns)
            if sound:  # else it is read again next time
                self._remember(key, (conversation.state(), score))
        return [turn.verdict for turn in turns], whole if score > before or whole.error else None

    def _remember(self, key: bytes, value: tuple[dict[str, Any], float]) -> None:
        with self._lock:
            self._known[key] = value
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]


def _texts(message: Any) -> tuple[str, list[str]]:
    """Its channel, and its text and that of its calls: apart, so that neither dilutes the other."""
    calls = read_content(message.tool_calls).text
    return _CHANNELS[message.role.value], [read_content(message.content).text, *([calls] if calls else [])]
