"""Gradient-guided swaps of added words, as GCG (Zou et al., arXiv:2307.15043), against the codebook's own log-odds.

The attacker reads the gradient on a copy of the model, in torch; drafts are judged by the target, which computes in int8.
Added are whole words of the vocabulary behind the payload; words that could turn its meaning are not among them.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from functools import cached_property

import numpy as np
from drafts import Draft
from moves import chance_of
from sameness import BUDGET
from slope import IntArray, Slope
from starts import Start
from targets import Answer

from alknet_firewall.engine import Engine
from alknet_firewall.text.windows import window_bounds

_WORD = re.compile(r"[\u0120\u2581][a-z]{3,10}")
_BENDING = frozenset("not never none ignore don cannot without except unless stop instead wrong false forget cancel".split())
_WORDS, _TOP, _ABREAST, _STEPS = 14, 24, 10, 110


class Gradient:
    """Adds words behind the payload and swaps them where the gradient says so."""

    def __init__(self, engine: Engine) -> None:
        """Reads the gradient for the codebook of an engine."""
        self._engine = engine

    @cached_property
    def _slope(self) -> Slope:
        return Slope(self._engine)

    @cached_property
    def _allowed(self) -> IntArray:
        """Tokens that are a word with the blank before it."""
        listed = enumerate(self._engine.detector.tokenizer.vocabulary)
        return np.array([i for i, token in listed if _WORD.fullmatch(token) and token[1:] not in _BENDING], np.int32)

    def __call__(self, start: Start) -> Generator[list[Draft], list[Answer], None]:
        if not len(self._allowed):
            return
        chance, vocabulary = chance_of(start, "gradient"), self._engine.detector.tokenizer.vocabulary
        words = [vocabulary[i][1:] for i in chance.sample(self._allowed.tolist(), min(_WORDS, len(self._allowed)))]
        least = float("inf")
        for _ in range(_STEPS):
            best = self._best_words(_draft(start, words), words)  # (places, top) of words
            drafts, tried = [], []
            for _ in range(_ABREAST):
                other = list(words)
                for place in chance.sample(range(len(words)), min(chance.choice((1, 1, 2, 4)), len(words))):
                    other[place] = chance.choice(best[place])
                draft = _draft(start, other)
                if draft.added <= BUDGET:
                    tried.append(other)
                    drafts.append(draft)
            answers = yield drafts
            found = min(range(len(drafts)), key=lambda i: answers[i].score)
            if answers[found].score <= least:
                words, least = tried[found], answers[found].score

    def _best_words(self, draft: Draft, words: list[str]) -> list[list[str]]:
        """For each added word those that lower the log-odds of its window most."""
        tokenizer = self._engine.detector.tokenizer
        text = draft.start.before + draft.payload + draft.suffix
        encoding, first = tokenizer.encode(text), len(text) - len(draft.suffix)
        places = np.flatnonzero(encoding.offsets[:, 0] >= first)[: len(words)]
        window = self._engine.codebook.window
        begin, end = next(
            (a, b) for a, b in window_bounds(len(encoding.ids), window.size, window.overlap) if b > places[-1]
        )
        inside = places[places >= begin]
        pulled = self._slope.pull(encoding.ids[begin:end], (inside - begin).astype(np.int32)).by_token[:, self._allowed]
        chosen = [
            [tokenizer.vocabulary[self._allowed[i]][1:] for i in np.argsort(row)[:_TOP]] for row in pulled
        ]
        missing = len(words) - len(chosen)  # words whose window is another: they stay
        return [[word] for word in words[:missing]] + chosen


def _draft(start: Start, words: list[str]) -> Draft:
    return replace(Draft(start), suffix="".join(f" {word}" for word in words))
