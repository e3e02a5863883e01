"""Figures of one representation over the sets: each set apart, and their mean, with interval and permutation test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from probing import PERMUTATIONS, REPLICATES, FloatArray, IntArray, Labelled, auroc, balanced_accuracy, scores
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from texts import Text

Features = npt.NDArray[np.float32]
Figure = tuple[float, float, float]
"""Value, and the ends of its 95 % interval."""


@dataclass(frozen=True)
class Measured:
    """How well a representation tells.

    Attributes:
        auroc, accuracy: By set, and their mean as `mean`.
        p: Share of permutations whose mean AUROC is as high.
        draws: Mean AUROC and mean balanced accuracy of each bootstrap draw, (2, replicates); draws of two
            representations belong together.
    """

    auroc: Mapping[str, Figure]
    accuracy: Mapping[str, Figure]
    p: float
    draws: FloatArray

    def told(self) -> dict[str, object]:
        """For JSON."""
        return {"auroc": dict(self.auroc), "accuracy": dict(self.accuracy), "p": self.p}


class Sets:
    """The texts by set, with their folds, permuted labels and bootstrap draws, the same for every representation."""

    def __init__(self, texts: Sequence[Text]) -> None:
        """`texts` in any order; a set's places in it are kept."""
        self.texts = texts
        self.places: dict[str, IntArray] = {}
        self.labelled: dict[str, Labelled] = {}
        for name in dict.fromkeys(text.of for text in texts):
            own = [i for i, text in enumerate(texts) if text.of == name]
            self.places[name] = np.array(own)
            self.labelled[name] = Labelled.of(
                [texts[i].deceptive for i in own], [texts[i].group for i in own]
            )
        self.folds = {name: one.folds() for name, one in self.labelled.items()}
        self._permuted = {name: one.permuted(PERMUTATIONS) for name, one in self.labelled.items()}
        self._draws = {name: one.resampled(REPLICATES) for name, one in self.labelled.items()}

    def measure(self, features: Features) -> Measured:
        """Probes `features` (n, d) of all texts."""
        found, null = {}, []
        for name, places in self.places.items():
            labels = np.concatenate([self.labelled[name].label[None], self._permuted[name]])
            own = scores(features[places], labels, self.folds[name])
            found[name] = own[0]
            null.append([auroc(row, label) for row, label in zip(own[1:], labels[1:])])
        return self.judged(found, np.mean(null, axis=0))

    def words(self) -> Measured:
        """Words and pairs of words, TF-IDF and a logistic regression, on the same folds."""
        found = {}
        for name, places in self.places.items():
            label, fold = self.labelled[name].label, self.folds[name]
            spoken = [self.texts[i].text for i in places.tolist()]
            found[name] = np.empty(len(label))
            for number in np.unique(fold).tolist():
                train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
                score = word_scores([spoken[i] for i in train], label[train], [spoken[i] for i in test])
                found[name][test] = score
        return self.judged(found, None)

    def judged(self, found: Mapping[str, FloatArray], null: FloatArray | None) -> Measured:
        """Figures of scores by set; `null` holds mean AUROCs under permuted labels."""
        both = {
            name: (self._drawn(name, score, auroc), self._drawn(name, score, balanced_accuracy))
            for name, score in found.items()
        }
        point = {
            name: (auroc(score, self.labelled[name].label), balanced_accuracy(score, self.labelled[name].label))
            for name, score in found.items()
        }
        draws = np.stack([np.mean([both[name][i] for name in found], axis=0) for i in range(2)])
        figures: list[dict[str, Figure]] = []
        for i in range(2):
            own = {name: _figure(point[name][i], both[name][i]) for name in found}
            own["mean"] = _figure(float(np.mean([value[i] for value in point.values()])), draws[i])
            figures.append(own)
        p = float("nan") if null is None else (1 + int((null >= figures[0]["mean"][0]).sum())) / (1 + len(null))
        return Measured(figures[0], figures[1], p, draws)

    def _drawn(self, name: str, score: FloatArray, figure: Callable[[FloatArray, IntArray], float]) -> FloatArray:
        label = self.labelled[name].label
        return np.array([figure(score[drawn], label[drawn]) for drawn in self._draws[name]])


def word_scores(train: Sequence[str], label: IntArray, test: Sequence[str]) -> FloatArray:
    """Scores of `test` by a bag of words fitted to `train`."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    model = LogisticRegression(C=3, max_iter=400, class_weight="balanced", solver="liblinear")
    model.fit(vectorizer.fit_transform(train), label)
    result: FloatArray = model.decision_function(vectorizer.transform(test))
    return result


def lengths(texts: Sequence[Text]) -> Features:
    """How long texts are: characters, words, and their logarithms, (n, 4)."""
    sizes = np.array([(len(text.text), len(text.text.split())) for text in texts], np.float64)
    return np.concatenate([sizes, np.log1p(sizes)], axis=1).astype(np.float32)


def difference(a: Measured, b: Measured, which: int) -> Figure:
    """Mean AUROC (0) or balanced accuracy (1) of `a` less that of `b`, paired over the draws."""
    own = (a.auroc if which == 0 else a.accuracy)["mean"][0] - (b.auroc if which == 0 else b.accuracy)["mean"][0]
    return _figure(own, a.draws[which] - b.draws[which])


def _figure(value: float, draws: FloatArray) -> Figure:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(value), float(low), float(high)
