"""Several detectors on the same rows, and the command that lets them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alknet_firewall.cli.app import app
from alknet_firewall.compile.rows import Row
from alknet_firewall.config import FirewallConfig
from alknet_firewall.engine import Engine, load_engine
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate import compare as module
from alknet_firewall.evaluate.compare import BATCH, OURS, Scores, compare, merged, score_all
from alknet_firewall.evaluate.pages.comparison import comparison_page
from alknet_firewall.evaluate.peers import TextPeer
from alknet_firewall.evaluate.sources import ALL_ATTACKS, BySource, name_of


def rows() -> list[Row]:
    """Attacks have many letters z; one source of them has not."""
    made = [Row(f"zzzz zzzz zzz{i}", "injection", "zs", "user") for i in range(20)]
    made += [Row(f"an attack without that letter {i}", "jailbreak", "hidden", "user") for i in range(20)]
    made += [Row(f"good morning {i}", "benign", "greetings", "user") for i in range(30)]
    return made + [Row(f"number {i * 7}", "benign", "numbers", "tool") for i in range(30)]


def given(name: str, values: Sequence[float], threshold: float | None = 0.5) -> Scores:
    flagged = () if threshold is None else tuple(value > threshold for value in values)
    return Scores(name, tuple(values), flagged, 0.1 * len(values))


def some() -> list[Scores]:
    """Ours knows one source, a perfect detector both, an odd one has no threshold."""
    ours = [0.9 if "z" in row.text else 0.1 for row in rows()]
    perfect = [float(row.label != "benign") for row in rows()]
    return [given(OURS, ours), given("perfect", perfect), given("odd", perfect[::-1], None)]


def test_the_same_figures_as_an_evaluation() -> None:
    found = compare(rows(), some(), replicates=20)
    ours, perfect, odd = found.detectors
    assert (found.rows, found.benign, found.attack_sources, found.benign_sources) == (100, 60, 2, 2)
    assert (
        ours.rankings[ALL_ATTACKS].recall[0.01].value == 0.5 and ours.rankings["injection"].auroc.value == 1
    )
    assert perfect.rankings[ALL_ATTACKS].auroc.value == 1
    assert ours.flagged["jailbreak"].value == 0 and ours.false_alarms and ours.false_alarms.value == 0
    assert odd.flagged == {} and odd.false_alarms is None
    assert ours.seconds == pytest.approx(0.1)
    by_source = BySource.of(rows())
    values = np.array(some()[0].values)
    expected = by_source.draw(values, replicates=20).rankings()
    assert dict(ours.sources)["zs", "injection"] == expected[name_of(("zs", "injection"))]


def test_how_far_ours_is_ahead() -> None:
    ours, perfect, odd = compare(rows(), some(), replicates=50).detectors
    assert ours.lead == {}
    assert perfect.lead[ALL_ATTACKS].recall[0.01].value == -0.5
    assert odd.lead[ALL_ATTACKS].auroc.value > 0


def test_a_comparison_needs_both_sides() -> None:
    benign = [row for row in rows() if row.label == "benign"]
    with pytest.raises(DataError, match="needs attacks"):
        compare(benign, [given(OURS, [0.1] * 60)])
    with pytest.raises(DataError, match="benign text"):
        compare(rows()[:20], [given(OURS, [0.1] * 20)])


@pytest.fixture
def engine(settings: Path) -> Engine:
    return load_engine(FirewallConfig.from_file(settings))


def test_all_judge_the_same_rows(engine: Engine) -> None:
    read: list[str] = []

    def judge(text: str) -> float:
        read.append(text)
        return float(text.count("z"))

    peers = [TextPeer("counter", judge, threshold=3.0), TextPeer("blind", lambda text: 0.0)]
    batches = list(score_all(engine, peers, rows()))
    assert [len(batch[0].values) for batch in batches] == [BATCH, BATCH, BATCH, 100 - 3 * BATCH]
    ours, counter, blind = merged(batches)
    assert ours.name == OURS and len(ours.values) == len(counter.flagged) == 100 and blind.flagged == ()
    assert read[1:] == [row.text for row in rows()]  # the first warmed it up
    expected = engine.judge([row.text for row in rows()], [row.channel for row in rows()])
    assert ours.values == tuple(verdict.score for verdict in expected)
    assert ours.flagged == tuple(verdict.flagged for verdict in expected)
    assert sum(counter.flagged) == 20 and ours.seconds > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(engine: Engine, value: float) -> None:
    with pytest.raises(DataError, match="broken"):
        list(score_all(engine, [TextPeer("broken", lambda text: value)], rows()))


def test_a_peer_that_fails_is_named_and_the_text_is_not(engine: Engine) -> None:
    def judge(text: str) -> float:
        raise RuntimeError(text)

    with pytest.raises(DataError, match=r"the peer broken failed \(RuntimeError\)") as caught:
        list(score_all(engine, [TextPeer("broken", judge)], rows()))
    assert "warm up" not in str(caught.value)


def test_the_page_of_a_comparison() -> None:
    objects = pytest.importorskip("plotly.graph_objects")
    content = comparison_page(compare(rows(), some(), replicates=5), ["<b>mind</b>"], "made by hand.")
    assert (
        "&lt;b&gt;mind" in content and "perfect" in content and "How far alknet-firewall is ahead" in content
    )
    charts = json.loads(re.search(r"const charts = (\{.*\});", content).group(1))  # type: ignore[union-attr]
    assert len(charts) == 2
    for chart in charts.values():
        objects.Figure(json.loads(re.sub(r'"@[a-z-]+"', '"#123456"', json.dumps(chart))))


def write(file: Path, listed: list[Row]) -> Path:
    plain = [{"text": r.text, "label": r.label, "source": r.source, "channel": r.channel} for r in listed]
    file.write_text("".join(json.dumps(row) + "\n" for row in plain))
    return file


def run(*arguments: object, columns: int = 80) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env=environment)


def test_the_command_prints_tables(settings: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    data, calibration = write(tmp_path / "rows.jsonl", rows()), write(tmp_path / "fit.jsonl", rows()[10:70])
    found = run(data, "--config", settings, "--against", "keywords, tfidf", "--calibration", calibration)
    assert found.exit_code == 0, found.stderr
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert "all attacks" in found.stdout and "hidden jailbreak" in found.stdout
    assert "Ahead of keywords" in found.stdout and "Ahead of tfidf" in found.stdout
    assert "tfidf has seen them" in " ".join(found.stderr.split())


def test_the_command_writes_json_and_a_report(settings: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    data, page = write(tmp_path / "rows.jsonl", rows()), tmp_path / "out.html"
    found = run(data, "--config", settings, "--json", "--report", page)
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    assert [one["name"] for one in told["detectors"]] == [OURS, "keywords"] and told["complete"] is True
    assert told["detectors"][0]["rankings"]["attack"]["recall"]["0.01"]["value"] == 0.5
    assert "keywords" in page.read_text(encoding="utf-8") and "out.html" in found.stderr
    assert [file.name for file in tmp_path.glob("*.html")] == ["out.html"]


def test_a_peer_that_is_missing_is_told_before_anything_is_judged(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "judge", lambda *arguments: pytest.fail("judged"))
    data = write(tmp_path / "rows.jsonl", rows())
    found = run(data, "--config", settings, "--against", "nobody")
    assert found.exit_code == 1 and "there is no peer 'nobody'" in found.stderr
    assert run(data, "--config", settings, "--against", " , ").exit_code == 2
    assert run(data, "--config", settings, "--report", tmp_path).exit_code == 1


def test_an_interrupted_comparison_tells_what_it_has(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("plotly")
    whole = module.score_all

    def interrupted(*arguments: Any) -> Iterator[list[Scores]]:
        for number, batch in enumerate(whole(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(module, "score_all", interrupted)
    data, page = write(tmp_path / "rows.jsonl", rows()), tmp_path / "out.html"
    found = run(data, "--config", settings, "--report", page)
    assert found.exit_code == 130 and "all attacks" in found.stdout
    assert f"figures of {2 * BATCH} rows of 100" in " ".join(found.stderr.split())
    assert not page.exists() and "is not written" in " ".join(found.stderr.split())
