"""Learned directions: attention heads over tokens, trained with torch to tell attacks from benign text.

A head has a query, which chooses tokens, and a value vector, which is the direction; its coordinate is the
attention-weighted mean of the tokens' projections. A peak has a direction alone; its coordinate is the highest mean of
projections over neighbouring tokens. A text's logit is the maximum over its stretches, so that a payload
in one window is enough and the others need not look like an attack (multiple-instance learning; Dietterich et al.,
Artificial Intelligence 89, 1997). Training happens in the space of the leading principal components, which is faster
and keeps the heads from learning noise; queries and directions are turned back before they go into the codebook.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alknet_firewall.codebook.readout import PEAK_TOKENS

FloatArray = npt.NDArray[np.float32]

_BATCH = 48  # texts
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 0.1
_DROPPED_TOKENS = 0.3  # hidden from the heads in training, so that evidence is sought in several places


@dataclass(frozen=True)
class ProjectedTokens:
    """Token states of all stretches in the space that heads are trained in.

    Attributes:
        tokens: (all tokens, dims), half precision.
        start: First token of each stretch, (s + 1,).
        end: State at the template's end of each stretch's window, (s, dims); zeros where it is not read.
    """

    tokens: torch.Tensor
    start: npt.NDArray[np.int64]
    end: torch.Tensor


class Heads(nn.Module):
    """For each behavior attention heads, directions of peaks, and a direction at the template's end."""

    def __init__(self, dims: int, behaviors: int, heads: int, peaks: int) -> None:
        """`heads` and `peaks` for each behavior."""
        super().__init__()
        self.behaviors = behaviors
        self.peak = nn.Parameter(torch.randn(behaviors * peaks, dims) * 0.02)
        self.query = nn.Parameter(torch.randn(behaviors * heads, dims) * 0.02)
        self.value = nn.Parameter(torch.zeros(behaviors * heads, dims))
        self.end = nn.Parameter(torch.zeros(behaviors, dims))
        self.bias = nn.Parameter(torch.zeros(behaviors))

    def coordinates(
        self, tokens: torch.Tensor, seen: torch.Tensor, kept: torch.Tensor, end: torch.Tensor
    ) -> torch.Tensor:
        """Coordinates of stretches, (B, behaviors, per behavior): a behavior's heads, peaks, and template's end.

        Args:
            tokens: (B, T, dims).
            seen: Which are tokens of the window and no padding, (B, T).
            kept: Which of these are not hidden in training, (B, T).
            end: (B, dims).
        """
        scores = (tokens @ self.query.T).masked_fill(~kept[..., None], -1e4)
        pooled = (scores.softmax(1) * (tokens @ self.value.T)).sum(1)  # (B, behaviors * heads)
        parts = [pooled, self._peaks(tokens, seen, kept), end @ self.end.T]
        return torch.cat([part.view(len(tokens), self.behaviors, -1) for part in parts], 2)

    def _peaks(self, tokens: torch.Tensor, seen: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """The highest mean over `PEAK_TOKENS` neighbouring tokens, (B, behaviors * peaks)."""
        shown = kept[..., None].to(tokens.dtype)
        projected = torch.cat([(tokens @ self.peak.T) * shown, shown], 2)
        sums = nn.functional.pad(projected.cumsum(1), (0, 0, 1, 0))  # (B, T + 1, behaviors * peaks + 1)
        size = min(PEAK_TOKENS, tokens.shape[1])
        runs = sums[:, size:] - sums[:, :-size]
        means = runs[..., :-1] / runs[..., -1:].clamp(min=1)
        starts = torch.arange(means.shape[1])[None, :]
        whole = (starts + size <= seen.sum(1, keepdim=True)) | (starts == 0)  # not into the padding
        return means.masked_fill(~whole[..., None], -1e4).amax(1)

    def forward(
        self, tokens: torch.Tensor, seen: torch.Tensor, kept: torch.Tensor, end: torch.Tensor
    ) -> torch.Tensor:
        """Logits of stretches, (B, behaviors); arguments as of `coordinates`."""
        return torch.as_tensor(self.coordinates(tokens, seen, kept, end).sum(2) + self.bias)


def train_heads(
    data: ProjectedTokens,
    stretches: list[npt.NDArray[np.int64]],
    classes: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    *,
    behaviors: int,
    heads: int,
    peaks: int,
    epochs: int,
    seed: int,
    progress: Callable[[float], None],
) -> Heads:
    """Trains heads.

    Args:
        data: Token states.
        stretches: The stretches of each text, n lists.
        classes: 0 for benign, b + 1 for behavior b, (n,).
        weights: Of the texts, (n,), with mean 1.
        behaviors: How many there are.
        heads: Of each behavior.
        peaks: Of each behavior.
        epochs: Passes over the texts.
        seed: Of order, start and dropped tokens.
        progress: Called with the share that is done.
    """
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    model = Heads(data.tokens.shape[1], behaviors, heads, peaks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = epochs * -(-len(stretches) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _LEARNING_RATE, total_steps=steps + 1, pct_start=0.15
    )
    lengths = np.array([sum(data.start[w + 1] - data.start[w] for w in own) for own in stretches])
    target, weight = torch.from_numpy(classes), torch.from_numpy(weights.astype(np.float32))
    for epoch in range(epochs):
        # Texts of roughly like length share a batch; which ones changes with every epoch.
        order = np.argsort(np.log1p(lengths) + generator.normal(0, 0.35, len(lengths)))
        batches = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
        for number in generator.permutation(len(batches)):
            batch = batches[number]
            tokens, seen, end = _gather(data, np.concatenate([stretches[i] for i in batch]))
            kept = seen & (torch.rand(seen.shape) > _DROPPED_TOKENS)
            kept |= seen & ~kept.any(1, keepdim=True)
            owner = torch.from_numpy(np.repeat(np.arange(len(batch)), [len(stretches[i]) for i in batch]))
            logits = model(tokens, seen, kept, end)
            lowest = torch.full((len(batch), behaviors), -1e9)
            strongest = lowest.scatter_reduce(0, owner[:, None].expand(-1, behaviors), logits, "amax")
            with_benign = torch.cat([torch.zeros(len(batch), 1), strongest], 1)
            losses = nn.functional.cross_entropy(with_benign, target[batch], reduction="none")
            optimizer.zero_grad()
            (losses * weight[batch]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        progress((epoch + 1) / epochs)
    return model


def coordinates_of(model: Heads, data: ProjectedTokens, stretches: npt.NDArray[np.int64]) -> FloatArray:
    """Coordinates of stretches, (stretches, behaviors, per behavior); see `Heads.coordinates`."""
    order = np.argsort(data.start[stretches + 1] - data.start[stretches], kind="stable")
    values: FloatArray | None = None
    with torch.no_grad():
        for first in range(0, len(order), 4 * _BATCH):
            here = order[first : first + 4 * _BATCH]
            tokens, seen, end = _gather(data, stretches[here])
            found = model.coordinates(tokens, seen, seen, end).numpy()
            if values is None:
                values = np.empty((len(stretches), *found.shape[1:]), np.float32)
            values[here] = found
    assert values is not None  # there is no corpus without any
    return values


def _gather(
    data: ProjectedTokens, stretches: npt.NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    starts, stops = data.start[stretches], data.start[stretches + 1]
    longest = int((stops - starts).max())
    tokens = torch.zeros(len(stretches), longest, data.tokens.shape[1])
    for row, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist())):
        tokens[row, : stop - start] = data.tokens[start:stop]
    seen = torch.arange(longest)[None, :] < torch.from_numpy(stops - starts)[:, None]
    return tokens, seen, data.end[torch.from_numpy(stretches)]
