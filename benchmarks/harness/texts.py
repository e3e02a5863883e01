"""Texts of a known number of tokens, and firewalls to screen them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.detector.protocol import TokenIds
from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.text.windows import window_bounds

_WHO = (
    "The council", "Our landlord", "A neighbour of mine", "The second volume", "Her grandmother", "The museum in Leiden",
    "Nobody at the meeting", "The new timetable", "This recipe", "The harbour master", "A colleague from Lyon", "The survey",
)  # fmt: skip
_DOES = (
    "explains", "has postponed", "describes in detail", "never mentioned", "will publish", "compares", "forgot to sign",
    "was surprised by", "keeps a copy of", "would rather not discuss", "is still waiting for", "translated",
)  # fmt: skip
_WHAT = (
    "the budget for 2024", "a photograph of the old bridge", "three kinds of apple trees", "the results of the water tests",
    "how to repair a bicycle chain", "the letter that arrived on Tuesday", "an invoice over EUR 1,240.50",
    "the plans for the reading room", "what the committee agreed on", "a short history of the canal",
    "seventeen unanswered questions", "the minutes of the last assembly",
)  # fmt: skip
_MORE = (
    ", although the figures differ.", " because the roof leaks again.", ", which took almost two years.", " on page 48.",
    ", as the footnote points out.", " before the summer holidays.", " (see the appendix).", " at half past nine.",
    "; the rest can wait.", ", mostly for the sake of the children.", " and thanked everybody for coming.", ".",
)  # fmt: skip


def sentences(seed: int) -> Iterator[str]:
    """Plain English sentences without end, the same for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        parts = [pool[int(rng.integers(len(pool)))] for pool in (_WHO, _DOES, _WHAT, _MORE)]
        yield f"{parts[0]} {parts[1]} {parts[2]}{parts[3]} "


def text_of(tokenizer: Tokenizer, n_tokens: int, seed: int) -> str:
    """A text of exactly `n_tokens` tokens."""
    text, stream = "", sentences(seed)
    while len(encoding := tokenizer.encode(text)) <= n_tokens:
        # Doubling: tokenizing what is there again at each sentence would take the square of the length.
        wanted = max(2 * len(text), 64)
        while len(text) < wanted:
            text += next(stream)
    for more in range(8):  # a cut inside a word may change how it is split
        cut = text[: int(encoding.offsets[n_tokens - 1 - more, 1])]
        if (found := len(tokenizer.encode(cut))) == n_tokens:
            return cut
        filled = cut + " a" * (n_tokens - found)
        if found < n_tokens and len(tokenizer.encode(filled)) == n_tokens:
            return filled
    raise ValueError(f"no text of {n_tokens} tokens")


def windows_of(firewall: Firewall, text: str) -> list[TokenIds]:
    """The windows of a text as the detector gets them: token ids with the template around."""
    window, tokenizer = firewall.engine.codebook.window, firewall.engine.detector.tokenizer
    ids, template = tokenizer.encode(text).ids, tokenizer.template
    bounds = window_bounds(len(ids), window.size, window.overlap)
    framed = ([*template.prefix, *ids[start:end], *template.suffix] for start, end in bounds)
    return [np.array(each, np.int32) for each in framed]


def open_firewall(
    threads: int, backend: str = "onnxruntime", precision: str = "auto", **settings: Any
) -> Firewall:
    """A firewall that reads texts of any length to their end, and whose faults are not verdicts; loaded.

    Args:
        threads: As of `FirewallConfig`.
        backend: As of `FirewallConfig`.
        precision: As of `FirewallConfig`.
        settings: Others; they win.

    Raises:
        AlknetFirewallError: It cannot be loaded: the backend is not installed, the precision not allowed, ...
    """
    usual: dict[str, Any] = {"on_long": "screen_all", "on_error": "raise"}
    own = {"threads": threads, "backend": backend, "precision": precision}
    return Firewall(FirewallConfig(**{**usual, **own, **settings})).warm_up()


def backend_of(firewall: Firewall) -> str:
    """Backend and precision, as in `onnxruntime int8`."""
    model = firewall.engine.detector.model
    return f"{model.backend} {model.precision}"
