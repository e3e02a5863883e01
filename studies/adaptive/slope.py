"""The codebook's log-odds of a window as a function that torch can differentiate: the reference's blocks, our readouts.

For the value and for the slope alike the window is read at all taps, whatever the cascade would do. Words do not hang on
embeddings; what a token would weigh in them is told beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from alknet_firewall.behavior import Passage
from alknet_firewall.codebook.lexical import ngram_buckets
from alknet_firewall.codebook.model import CodebookBehavior
from alknet_firewall.codebook.readout import ATTENTION, PEAK, PEAK_TOKENS, stretches
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.detector.protocol import ModelSpec
from alknet_firewall.detector.torch_reference import TorchModel
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.engine import Engine

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pull:
    """What would change in the log-odds of the group, to first order.

    Attributes:
        log_odds: Of the window.
        by_token: If the token at a place were another one, (n places, vocabulary); what all have in common is in it.
    """

    log_odds: float
    by_token: FloatArray


class Slope:
    """Log-odds of the group and their gradient, by torch in fp32."""

    def __init__(self, engine: Engine, threads: int = 1) -> None:
        """Loads the reference for the weights and taps of an engine."""
        self._template = engine.detector.tokenizer.template
        self._taps = engine.detector.taps
        self._behaviors = [engine.codebook.behaviors[name] for name in engine.codebook.group]
        spec = ModelSpec(open_weights(engine.config.weights), self._taps, "fp32", threads, engine.codebook.window.size + 64)
        self._decoder: Any = TorchModel(spec)._model
        self._decoder.requires_grad_(False)
        self._embedding = self._decoder.get_input_embeddings().weight  # (vocabulary, hidden)

    def pull(self, ids: IntArray, places: IntArray) -> Pull:
        """The log-odds of a window, and how they would change with the tokens at `places` of it.

        Args:
            ids: Of the window, (n_tokens,).
            places: (n,), each under n_tokens.
        """
        framed = np.concatenate([self._template.prefix, ids, self._template.suffix]).astype(np.int64)
        inputs = self._embedding[torch.from_numpy(framed)].clone().requires_grad_(True)
        output = self._decoder(inputs_embeds=inputs[None], output_hidden_states=True, use_cache=False)
        begin, suffix = len(self._template.prefix), len(self._template.suffix)
        states = {tap: _normalised(output.hidden_states[tap][0, begin:]) for tap in self._taps}  # (n_tokens + suffix, h)
        odds, weighed = [], []
        for behavior in self._behaviors:
            words, slope = self._words(behavior, ids)
            odds.append(_log_odds(behavior, states, suffix, words))
            weighed.append(slope)
        total = torch.logsumexp(torch.stack(odds), 0)
        total.backward()
        by_token = (inputs.grad[begin + torch.from_numpy(places.astype(np.int64))] @ self._embedding.T).numpy()
        share = torch.softmax(torch.stack(odds), 0).detach().numpy()
        return Pull(float(total.detach()), by_token + np.einsum("b,bv->v", share, np.stack(weighed)).astype(np.float32))

    def _words(self, behavior: CodebookBehavior, ids: IntArray) -> tuple[float, FloatArray]:
        """The lexical score of a window, and what each token of the vocabulary would add to the log-odds by it."""
        lexicon, weights = behavior.lexicon, behavior.word_weights
        if lexicon is None or weights is None:
            return 0.0, np.zeros(len(self._embedding), np.float32)
        from alknet_firewall.codebook.lexical import lexical_scores

        grams = ngram_buckets(lexicon.folded[ids], len(lexicon.rarity))
        (score,), _ = lexical_scores(grams, lexicon.rarity, weights[None], len(ids))
        present = np.unique(np.concatenate(grams))
        length = float(np.sqrt(np.sum(lexicon.rarity[present] ** 2)))
        own = ngram_buckets(lexicon.folded, len(lexicon.rarity))[0]  # the bucket of each token by itself
        step = 1e-3
        at = np.tile(behavior.log_ratios.knots.mean(1), (2, 1))  # the others are left where they are
        at[:, -1] = score + step, score - step
        above, below = behavior.log_ratios(at)[:, -1]
        steep = float(behavior.weights[-1][-1]) * (above - below) / (2 * step)
        return float(score), (steep * weights[own] * lexicon.rarity[own] / max(length, 1e-6)).astype(np.float32)


def _normalised(states: Any) -> Any:
    return states / torch.sqrt((states**2).mean(-1, keepdim=True) + 1e-12)


def _log_odds(behavior: CodebookBehavior, states: dict[int, Any], suffix: int, words: float) -> Any:
    """As `CodebookBehavior.assess`, at the last depth."""
    n_tokens = len(next(iter(states.values()))) - suffix
    borders = stretches(n_tokens, behavior.stretch).tolist()
    ends = list(range(n_tokens, n_tokens + suffix))
    found = [
        _of_stretch(behavior, {tap: own[[*range(a, b), *ends]] for tap, own in states.items()}, suffix, words)
        for a, b in zip(borders, borders[1:])
    ]
    return torch.stack(found).max()


def _of_stretch(behavior: CodebookBehavior, states: dict[int, Any], suffix: int, words: float) -> Any:
    coordinates = behavior.coordinates
    values: list[Any] = []
    for at, (tap, readout) in enumerate(zip(coordinates.taps.tolist(), coordinates.readouts)):
        own = states[tap]
        n_tokens = len(own) - suffix
        projected = own @ torch.from_numpy(coordinates.directions[at])  # (n_tokens + suffix,)
        if readout == ATTENTION:
            scores = own[:n_tokens] @ torch.from_numpy(coordinates.queries[at])
            value = torch.softmax(scores, 0) @ projected[:n_tokens]
        elif readout == PEAK:
            value = projected[:n_tokens].unfold(0, min(PEAK_TOKENS, n_tokens), 1).mean(-1).max()
        else:
            shares = behavior.readouts[readout].shares(own.detach().numpy(), suffix)
            value = torch.from_numpy(shares) @ projected
        values.append(value + float(coordinates.offsets[at]))
    if behavior.lexicon is not None:
        values.append(torch.tensor(words))
    ratios = _evaluated(behavior.log_ratios, torch.stack(values).double())
    return (torch.from_numpy(behavior.weights[-1].astype(np.float64)) * ratios).sum() + float(behavior.biases[-1])


def _evaluated(splines: Splines, at: Any) -> Any:
    """As `Splines.__call__`, of one value a spline."""
    knots, values, bends = (torch.from_numpy(part) for part in (splines.knots, splines.values, splines.curvatures))
    inside = torch.minimum(torch.maximum(at, knots[:, 0]), knots[:, -1])
    column = torch.arange(len(knots))
    left = ((inside[:, None] >= knots).sum(-1) - 1).clamp(0, knots.shape[1] - 2)
    x0, x1 = knots[column, left], knots[column, left + 1]
    y0, y1, c0, c1 = values[column, left], values[column, left + 1], bends[column, left], bends[column, left + 1]
    gap = x1 - x0
    a, b = (x1 - inside) / gap, (inside - x0) / gap
    curved = a * y0 + b * y1 + ((a**3 - a) * c0 + (b**3 - b) * c1) * gap**2 / 6
    steep = (y1 - y0) / gap + ((3 * b**2 - 1) * c1 - (3 * a**2 - 1) * c0) * gap / 6
    # Beyond the knots a straight line goes on; between them `at - inside` is 0, and so is the slope through it.
    return curved + steep.detach() * (at - inside)


def log_odds_of(engine: Engine, piece: Any, channel: str) -> float:
    """What the engine itself says of a window at the last depth, for comparison with `Slope`."""
    template = engine.detector.tokenizer.template
    framed = np.concatenate([template.prefix, piece.ids, template.suffix]).astype(np.int32)
    found = engine.detector.hidden_states([framed])
    from alknet_firewall.codebook.readout import normalised

    states = {tap: normalised(own[0][len(template.prefix) : len(framed)]) for tap, own in found.items()}
    passage = Passage(piece.text, piece.ids, piece.offsets, states, len(template.suffix))
    odds = [engine.codebook.behaviors[name].assess([passage], channel)[0].log_odds for name in engine.codebook.group]
    return float(np.logaddexp.reduce(odds))
