"""The soak and the search for costly texts, for some seconds with the tiny model: answers, not times, are judged."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from alknet_firewall import Action, Verdict
from benchmarks import soak, worst_inputs
from benchmarks.harness.families import FAMILIES
from benchmarks.harness.traffic import Answers, Histogram, Question


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The soak points to a cache of its own, which it damages; afterwards it is that of this run again."""
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(cache))


def test_a_soak_with_faults_loses_mistakes_and_passes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    page = tmp_path / "soak.html"
    wanted = ["--minutes", "0.05", "--callers", "9", "--texts", "60", "--faults", "--rate-seconds", "0.3"]
    wanted += ["--report", str(page)]
    assert soak.main(wanted) == 0
    printed = capsys.readouterr().out
    assert "| answers lost, doubled or wrong | 0 | 0 | yes |" in printed
    assert "| asked and not answered | 0 |" in printed and "| wrong | 0 |" in printed
    assert "plotly" in page.read_text(encoding="utf-8") and not page.with_name("soak.html.part").exists()


def test_worst_inputs_are_listed_the_dearest_first(capsys: pytest.CaptureFixture[str]) -> None:
    worst_inputs.main(
        ["--model", "tiny", "--chars", "200", "--rounds", "1", "--families", "emoji", "spaces", "base64"]
    )
    printed = capsys.readouterr().out
    assert "| 1. " in printed and "plain English" in printed and ". emoji |" in printed
    assert "time a token read, of English" in printed


@pytest.mark.parametrize("name", FAMILIES)
def test_families_have_the_length_that_is_asked_for(name: str) -> None:
    for n in (0, 1, 300):
        text = FAMILIES[name](random.Random(n), n)
        assert len(text) == n and text == FAMILIES[name](random.Random(n), n)


def test_an_answer_is_right_by_policy_or_wrong() -> None:
    own = Verdict(Action.ALLOW, 0.2, 0.5, channel="tool", tokens=7)
    question, answers = Question("a text", "tool", own), Answers()
    answers.ask(4)
    answers.take(question, own, 1.0)
    answers.take(question, Verdict(Action.ALLOW, 0.2, 0.5, channel="tool", tokens=8))
    answers.take(question, Verdict(Action.BLOCK, 1.0, 0.0, channel="tool", error="DeadlineError: late"))
    answers.take(question, Verdict(Action.ALLOW, 0.0, 1.0, channel="tool", error="DeadlineError: late"))
    assert (answers.asked, answers.given, answers.right, answers.wrong) == (4, 4, 1, 2)
    assert answers.by_policy == {"DeadlineError": 1}


def test_a_histogram_tells_quantiles() -> None:
    histogram = Histogram()
    assert math.isnan(histogram.quantile(0.5))
    for ms in range(1, 1001):
        histogram.add(float(ms))
    assert histogram.quantile(0.5) == pytest.approx(500, rel=0.05)
    assert histogram.quantile(0.99) == pytest.approx(990, rel=0.05)
    histogram.add(0.0)
    histogram.add(1e9)
