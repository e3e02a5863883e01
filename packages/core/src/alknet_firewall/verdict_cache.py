"""Verdicts on texts that were screened before, such as the same system prompt in every request."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace

from alknet_firewall.verdict import Verdict

_LONGEST = 1 << 20  # characters: hashing a longer text would hold up the event loop


class VerdictCache:
    """The verdicts on the texts asked for last, but for very long ones.

    It holds hashes of texts, no text, and is safe to share between threads.

    It belongs to one loaded firewall: what else decides a verdict (codebook, weights, settings) is the same for all
    that is in it. Spans refer to the text as it was given, so that is what is hashed, and not its normalised form.
    """

    def __init__(self, size: int) -> None:
        """Makes it for `size` verdicts; 0 for one that holds none."""
        self._size = size
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()  # the one asked for longest ago first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of verdicts held."""
        return len(self._verdicts)

    def get(self, text: str, channel: str) -> Verdict | None:
        """The verdict on `text` as `channel`, if it is known."""
        if not self._size or len(text) > _LONGEST:
            return None
        key = _key(text, channel)
        with self._lock:
            verdict = self._verdicts.get(key)
            if verdict is None:
                return None
            self._verdicts.move_to_end(key)
        return _copy(verdict)

    def put(self, text: str, verdict: Verdict) -> None:
        """Keeps a verdict on `text`; not one of a fault, which may have passed by the next time."""
        if not self._size or len(text) > _LONGEST or verdict.error is not None:
            return
        key, kept = _key(text, verdict.channel), _copy(verdict)
        with self._lock:
            self._verdicts[key] = kept
            self._verdicts.move_to_end(key)
            if len(self._verdicts) > self._size:
                self._verdicts.popitem(last=False)


def _key(text: str, channel: str) -> bytes:
    return hashlib.sha256(f"{channel}\0{text}".encode("utf-8", "surrogatepass")).digest()


def _copy(verdict: Verdict) -> Verdict:
    """With mappings of its own: what a caller does to them stays with that caller."""
    alarms = (replace(alarm, contributions=dict(alarm.contributions)) for alarm in verdict.alarms)
    return replace(verdict, alarms=tuple(alarms))
