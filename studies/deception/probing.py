"""A linear probe under grouped cross-validation, with a permutation test and intervals by bootstrap over groups.

The probe is a ridge regression on standardised features, solved in the space of texts: one solution of a system gives
the scores for all permutations of the labels at once. Its penalty is the mean eigenvalue of the training texts' Gram
matrix, the same rule for every representation, so that none is tuned more than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FOLDS = 5
PERMUTATIONS = 400
REPLICATES = 1000


@dataclass(frozen=True)
class Labelled:
    """Labels of the texts of one set: 1 for deception, 0 for honest, (n,), and the number of each text's group."""

    label: IntArray
    group: IntArray

    @classmethod
    def of(cls, labels: Sequence[bool], groups: Sequence[str]) -> Labelled:
        """Numbers the groups."""
        return cls(np.array(labels, np.int64), np.unique(np.array(groups), return_inverse=True)[1].astype(np.int64))

    def folds(self, seed: int = 0) -> IntArray:
        """The fold of each text, groups whole: the largest first, each to the fold that has the fewest texts."""
        generator = np.random.default_rng(seed)
        counts = np.bincount(self.group)
        order = generator.permutation(len(counts))
        order = order[np.argsort(-counts[order], kind="stable")]
        sizes, fold = np.zeros(FOLDS), np.empty(len(counts), np.int64)
        for number in order.tolist():
            fold[number] = int(np.argmin(sizes))
            sizes[fold[number]] += counts[number]
        return fold[self.group]

    def permuted(self, count: int, seed: int = 0) -> IntArray:
        """Labels under the hypothesis that they tell nothing, (count, n).

        Labels change places within their group, and groups of one size change labels with each other: how labels hang
        together within groups is kept.
        """
        generator = np.random.default_rng(seed)
        members: dict[int, list[IntArray]] = {}
        for number in range(int(self.group.max()) + 1):
            own = np.flatnonzero(self.group == number)
            members.setdefault(len(own), []).append(own)
        out = np.empty((count, len(self.label)), np.int64)
        for size, groups in members.items():
            places = np.stack(groups)  # (groups, size)
            labels = self.label[places]
            for row in out:
                mixed = labels[generator.permutation(len(labels))]
                row[places] = generator.permuted(mixed, axis=1) if size > 1 else mixed
        return out

    def resampled(self, count: int, seed: int = 0) -> list[IntArray]:
        """Texts of groups drawn with replacement, `count` times."""
        generator = np.random.default_rng(seed)
        members = [np.flatnonzero(self.group == number) for number in range(int(self.group.max()) + 1)]
        draws: list[IntArray] = []
        while len(draws) < count:
            drawn = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
            if 0 < self.label[drawn].sum() < len(drawn):
                draws.append(drawn)
        return draws


def scores(features: npt.NDArray[np.float32], labels: IntArray, fold: IntArray) -> FloatArray:
    """Scores of texts from probes that their fold was left out of; above 0 is told to be deception.

    Args:
        features: (n, d).
        labels: One row for each labelling, (m, n).
        fold: Of each text, (n,).

    Returns:
        (m, n).
    """
    found = np.empty(labels.shape, np.float64)
    for number in np.unique(fold).tolist():
        train, test = fold != number, fold == number
        found[:, test] = fitted(features[train], labels[:, train], features[test])
    return found


def fitted(
    train: npt.NDArray[np.float32], labels: IntArray, test: npt.NDArray[np.float32]
) -> FloatArray:
    """Scores of `test` (m, n_test) by probes fitted to `train` (n_train, d) under each labelling (m, n_train)."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(np.float32)
    own, others = (train - mean) * scale, (test - mean) * scale
    gram = (own @ own.T).astype(np.float64)
    penalty = max(float(np.trace(gram)) / len(gram), 1e-9)
    target = labels.T - labels.mean(1)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), target)  # (n_train, m)
    of_train = gram @ weights
    lies = labels.T == 1
    middle = ((of_train * lies).sum(0) / lies.sum(0) + (of_train * ~lies).sum(0) / (~lies).sum(0)) / 2
    return ((others @ own.T).astype(np.float64) @ weights - middle).T


def auroc(score: FloatArray, label: IntArray) -> float:
    """Area under the ROC curve of one set, without weights; ties count half."""
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1])
    sizes = np.diff(np.concatenate([starts, [len(score)]]))
    ranks = np.empty(len(score))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    lies = int(label.sum())
    return float((ranks[label == 1].sum() - lies * (lies + 1) / 2) / (lies * (len(label) - lies)))


def balanced_accuracy(score: FloatArray, label: IntArray) -> float:
    """Mean of the shares of lies above 0 and of honest texts not above 0."""
    return float((np.mean(score[label == 1] > 0) + np.mean(score[label == 0] <= 0)) / 2)
