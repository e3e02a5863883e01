"""One text read by the engine, with what the page shows of it: tokens, undone disguises, the nearest alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.behavior import Evidence
from alknet_firewall.engine import Engine, Tally
from alknet_firewall.faults import verdict_on_fault
from alknet_firewall.hosts import describe
from alknet_firewall.nearest import at_thresholds
from alknet_firewall.passages import Piece, pieces
from alknet_firewall.verdict import Verdict

STEP = 16
"""Windows that are read between two reports of progress."""

MOST_VIEWS = 6
"""Undone stretches that are shown, the strongest first."""

Tokens = dict[tuple[int, int], float]
"""Share of each token in the evidence, in nats, by its half-open range of characters."""


class Reading:
    """A text on its way through the engine. For one thread at a time.

    Attributes:
        text: As given.
        channel: Where it comes from.
    """

    def __init__(self, engine: Engine, text: str, channel: str) -> None:
        """Takes a loaded engine; nothing is read yet."""
        self.text, self.channel = text, channel
        self._engine, self._tally = engine, Tally()
        self._fault: Exception | None = None
        self._tokens: dict[str, Tokens] = {}
        self._views: list[tuple[Piece, Mapping[str, Evidence]]] = []
        self.done = False

    def steps(self) -> Iterator[tuple[int, int]]:
        """Reads the text; after each step but the last: how many of how many windows were read.

        A fault ends it; `verdict` is then that of the policy `on_error`.
        """
        try:
            window = self._engine.codebook.window
            cut = pieces(self.text, self._engine.detector.tokenizer, window.size, window.overlap)
            waiting = [(0, piece) for piece in self._engine.allowed(cut, self._tally)]
            for start in range(0, len(waiting), STEP):
                for _, piece, evidence in self._engine.assessed(waiting[start : start + STEP], [self.channel]):
                    self._engine.add(self._tally, piece, evidence)
                    self._note(piece, evidence)
                if start + STEP < len(waiting):
                    yield start + STEP, len(waiting)
        except Exception as error:  # as Firewall.screen: what goes wrong becomes a verdict by policy
            self._fault = error
        self.done = True

    def verdict(self, block: float, review: float) -> Verdict:
        """What was read so far comes to, at these thresholds (false-alarm rates, `block` <= `review`)."""
        if self._fault is not None:
            return verdict_on_fault(self._engine.config, self._fault, self.channel)
        return at_thresholds(self._engine, block, review).verdict(self._tally, self.channel)

    def shown(self, block: float, review: float) -> dict[str, Any]:
        """Everything the page shows, JSON-ready.

        Returns:
            `verdict`: as `Verdict.to_dict`, `error` without the message of the exception; `said`: in a sentence;
            `nearest`: alarms as they would be with thresholds at 100 %; `tokens`: by behavior, lists of start, end
            and share; `views`: what was undone.
        """
        verdict = self.verdict(block, review)
        told = verdict.to_dict()
        nearest: list[dict[str, Any]] = []
        if self._fault is None:
            everything = at_thresholds(self._engine, 1.0, 1.0).verdict(self._tally, self.channel)
            nearest = everything.to_dict()["alarms"]
        else:
            told["error"] = type(self._fault).__name__
        return {
            "verdict": told,
            "said": describe(verdict),
            "nearest": nearest,
            "windows": self._tally.windows,
            "tokens": {name: _listed(tokens) for name, tokens in self._tokens.items()},
            "views": [_view(piece, evidence) for piece, evidence in self._views],
        }

    def _note(self, piece: Piece, evidence: Mapping[str, Evidence]) -> None:
        heard = {name: found for name, found in evidence.items() if name not in self._engine.off}
        if piece.decoded is not None:
            self._views.append((piece, heard))
            self._views.sort(key=lambda view: -max((found.log_odds for found in view[1].values()), default=0.0))
            del self._views[MOST_VIEWS:]
            return
        for name, found in heard.items():
            tokens = self._tokens.setdefault(name, {})
            for place, share in _shares(piece.origin, found).items():
                # Windows overlap: of what is read twice, what says more counts, as it does in the verdict.
                tokens[place] = max(share, tokens.get(place, share), key=abs)


def _shares(ranges: npt.NDArray[Any], found: Evidence) -> Tokens:
    """Of each range of characters, the share of its tokens: one character may be several tokens."""
    scores = found.token_scores
    if scores is None or len(scores) != len(ranges) or not np.isfinite(scores).all():
        return {}
    shares: Tokens = {}
    for (start, end), score in zip(ranges.tolist(), scores.tolist()):
        shares[start, end] = shares.get((start, end), 0.0) + score
    return shares


def _listed(tokens: Tokens) -> list[tuple[int, int, float]]:
    return [(start, end, round(share, 3)) for (start, end), share in sorted(tokens.items())]


def _view(piece: Piece, evidence: Mapping[str, Evidence]) -> dict[str, Any]:
    return {
        "kind": piece.decoded,
        "text": piece.text,
        "place": [int(piece.origin[0, 0]), int(piece.origin[-1, 1])],
        "evidence": {name: found.log_odds for name, found in evidence.items()},
        "tokens": {name: _listed(_shares(piece.offsets, found)) for name, found in evidence.items()},
    }
