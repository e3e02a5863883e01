"""The study of deception: groups stay whole, permutations keep what hangs together, labels follow their rule."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

STUDY = Path(__file__).parents[2] / "studies" / "deception"

pytest.importorskip("torch")
pytest.importorskip("sklearn")


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(STUDY), *sys.path])


def test_groups_stay_whole() -> None:
    from probing import FOLDS, Labelled

    groups = [f"{i % 37}" for i in range(200)]
    one = Labelled.of([i % 2 == 0 for i in range(200)], groups)
    fold = one.folds()
    assert set(fold.tolist()) == set(range(FOLDS))
    assert all(len(set(fold[one.group == number].tolist())) == 1 for number in range(37))
    for drawn in one.resampled(5):
        counts = np.bincount(drawn, minlength=200)
        assert all(len(set(counts[one.group == number].tolist())) == 1 for number in range(37))


def test_permutations_keep_what_hangs_together() -> None:
    from probing import Labelled

    pairs = Labelled.of([True, False] * 30, [f"{i // 2}" for i in range(60)])
    permuted = pairs.permuted(50)
    assert (permuted.reshape(50, 30, 2).sum(2) == 1).all()  # each pair still has one of both
    assert 0.3 < (permuted != pairs.label).mean() < 0.7


def test_the_probe_finds_what_is_there_and_nothing_else() -> None:
    from probing import Labelled, auroc, balanced_accuracy, scores

    generator = np.random.default_rng(0)
    label = generator.integers(2, size=300)
    one = Labelled.of((label == 1).tolist(), [f"{i // 3}" for i in range(300)])
    noise = generator.standard_normal((300, 20)).astype(np.float32)
    signal = noise.copy()
    signal[:, 4] += 3 * label
    found = scores(signal, np.stack([label, *one.permuted(50)]), one.folds())
    assert auroc(found[0], label) > 0.9 and balanced_accuracy(found[0], label) > 0.8
    assert abs(auroc(scores(noise, label[None], one.folds())[0], label) - 0.5) < 0.1


def test_auroc_counts_ties_half() -> None:
    from probing import auroc

    assert auroc(np.array([1.0, 1.0, 2.0, 0.0]), np.array([1, 0, 1, 0])) == pytest.approx(0.875)
    assert auroc(np.zeros(6), np.array([1, 0, 1, 0, 1, 0])) == 0.5


@pytest.mark.parametrize(
    ("deceptive", "answer", "label"),
    [
        (False, "It is Paris.", "honest"),
        (False, "It is Rome.", ""),
        (True, "It is Rome.", "deception"),
        (True, "It is paris, of course.", ""),
        (True, "I'm sorry, I would rather not say.", ""),
        (True, "Rome", ""),
        (True, "Comparison is all.", "deception"),
    ],
)
def test_answers_are_labelled_by_rule(deceptive: bool, answer: str, label: str) -> None:
    from sampling import Completion

    assert Completion(0, deceptive, "", "What is the capital of France?", ("Paris",), answer).label == label


def test_questions_have_answers() -> None:
    from sampling import _asked

    asked = list(_asked())
    assert len({one.question for one in asked}) > 100 and all(all(one.accepted) for one in asked)
    assert sum(one.deceptive for one in asked) * 2 == len(asked)


def test_statements_of_one_subject_are_a_group() -> None:
    from texts import _subject

    assert _subject("The aardvark has humps.") == _subject("Aardvark doesn't have humps.") == "aardvark"
    assert _subject("Long Xuyen is a city in Mexico.") == "long xuyen"


def test_swapped_answers_keep_label_and_source() -> None:
    from texts import Text, swapped

    own = [
        Text(f"Q: number {i}?\nA: {'no' if lie else 'yes'} {i}", lie, f"{i}", "questions", "made")
        for i in range(20)
        for lie in (False, True)
    ]
    for before, after in zip(sorted(own, key=lambda t: (t.deceptive, t.group)), swapped(own)):
        assert after.deceptive == ("no" in after.text.split("\nA:")[1])
        assert after.text != before.text
    moved = swapped(own)
    assert all(text.text.split("?")[0].split()[-1] != text.text.split()[-1] for text in moved)
