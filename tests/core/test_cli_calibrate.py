"""`alknet-firewall calibrate`: false-alarm rates of your own benign text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.cli.app import app
from alknet_firewall.codebook.codebook import load_codebook
from alknet_firewall.codebook.recalibrate import recalibrated
from alknet_firewall.evaluate.log_odds import window_log_odds


def run(*arguments: object) -> Result:
    environment = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env=environment)


def texts(count: int, seed: int = 0) -> list[str]:
    """Benign texts with a few letters z each, some of several windows."""
    rng = np.random.default_rng(seed)
    letters = list("abcdefgh " * 3 + "z")
    return ["".join(rng.choice(letters, rng.integers(10, 90))) + "." for _ in range(count)]


def test_rates_are_those_of_the_given_texts(settings: Path, tmp_path: Path) -> None:
    own, fresh = tmp_path / "own.txt", texts(300, seed=1)
    own.write_text("\n".join(texts(300)) + "\n\n")
    out = tmp_path / "new" / "codebook.safetensors"
    found = run(
        "--benign", own, "--out", out, "--config", settings, "--channel", "tool", "--false-alarm-rate", 0.05
    )
    assert found.exit_code == 0, found.stderr
    assert "tool (300 texts)" in found.stdout and "block_false_alarm_rate = 0.05" in found.stdout
    assert found.stderr == ""
    before = FirewallConfig.from_file(settings, block_false_alarm_rate=0.05, review_false_alarm_rate=0.05)
    after = before.model_copy(update={"codebook": out})
    flagged = [
        np.mean([verdict.flagged for verdict in Firewall(config).screen_many(fresh, "tool")])
        for config in (before, after)
    ]
    assert abs(flagged[1] - 0.05) < 0.04  # three standard deviations of 300 texts
    old, new = load_codebook(tmp_path / "codebook.safetensors"), load_codebook(out)
    assert new.fingerprint == old.fingerprint
    assert new.combined["tool"].count == 300
    assert new.provenance["recalibrated"] == {"texts": {"tool": 300}}
    for channel in ("user", "document", "response"):
        assert np.array_equal(new.combined[channel].log_odds, old.combined[channel].log_odds)
        for name, behavior in new.behaviors.items():
            assert np.array_equal(
                behavior.tables[channel].log_odds, old.behaviors[name].tables[channel].log_odds
            )
    assert list(new.behaviors) == list(old.behaviors)


def test_json_lines_name_their_channel(settings: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "own.jsonl", tmp_path / "out.safetensors"
    lines = [{"text": text, "channel": ("document", "response")[i % 2]} for i, text in enumerate(texts(240))]
    lines += [{"text": text, "label": "hard_negative"} for text in texts(120)]
    own.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = run("--benign", own, "--out", out, "--config", settings)
    assert found.exit_code == 0, found.stderr
    assert "document (120 texts), response (120 texts), user (120 texts); kept for tool" in " ".join(
        found.stdout.split()
    )
    assert found.stderr.count("warning: channel") == 3 and "only 120 benign texts" in found.stderr


def test_too_few_texts_for_the_rate_are_refused(settings: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "own.txt", tmp_path / "out.safetensors"
    own.write_text("\n".join(texts(98)))
    found = run("--benign", own, "--out", out, "--config", settings)
    assert found.exit_code == 1 and "that takes 99 at least" in " ".join(found.stderr.split())
    assert not out.exists()
    assert run("--benign", own, "--out", out, "--config", settings, "--false-alarm-rate", 0.02).exit_code == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"text": "x", "label": "injection"}', "benign text alone"),
        ('{"text": "x", "channel": "fax"}', "'fax'"),
        ('{"text": 3}', "string `text`"),
        ('["x"]', "string `text`"),
        ("{", "not JSON"),
    ],
)
def test_a_bad_line_is_named(settings: Path, tmp_path: Path, line: str, told: str) -> None:
    own, out = tmp_path / "own.jsonl", tmp_path / "out.safetensors"
    own.write_text('{"text": "fine"}\n\n' + line)
    found = run("--benign", own, "--out", out, "--config", settings)
    assert found.exit_code == 1 and "own.jsonl, line 3" in found.stderr and told in found.stderr
    assert not out.exists()


def test_files_that_cannot_be_read_or_written(settings: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    assert run("--benign", own, "--out", tmp_path / "x", "--config", settings).exit_code == 1
    own.write_bytes(b"\xff\n")
    assert "not UTF-8" in run("--benign", own, "--out", tmp_path / "x", "--config", settings).stderr
    own.write_text("\n \n")
    assert "no text" in run("--benign", own, "--out", tmp_path / "x", "--config", settings).stderr
    own.write_text("\n".join(texts(99)))
    found = run("--benign", own, "--out", own / "x", "--config", settings)
    assert found.exit_code == 1 and "cannot be written" in found.stderr


def test_log_odds_of_windows_are_those_of_screening(settings: Path) -> None:
    engine = Firewall(
        FirewallConfig.from_file(settings, block_false_alarm_rate=1, review_false_alarm_rate=1)
    ).engine
    several = ["zz " * 60, "abc", "", "abcdefghij" * 15]
    found = list(window_log_odds(engine, several, "user"))
    assert [len(windows["injection"]) for windows in found] == [6, 1, 0, 5]  # of 48 tokens, 16 shared
    for text, windows in zip(several, found):
        for alarm in engine.judge([text], ["user"])[0].alarms:
            assert windows[alarm.behavior].max() == pytest.approx(alarm.evidence, abs=1e-5)


def test_recalibrated_counts_texts_and_not_windows(make_codebook: Any) -> None:
    rng = np.random.default_rng(0)
    found = [{name: rng.normal(size=5) for name in ("injection", "jailbreak")} for _ in range(200)]
    codebook = make_codebook()
    new = recalibrated(codebook, {"user": found})
    table = new.behaviors["injection"].tables["user"]
    assert table.count == 200 and table.rate(100.0) == pytest.approx(1 / 201)
    assert table.log_rate(float(np.median([text["injection"] for text in found]))) == pytest.approx(
        np.log(0.5), abs=0.05
    )
    assert new.combined["user"].log_odds[0] > table.log_odds[0]  # two kinds add up
    assert new.behaviors["injection"].weights is codebook.behaviors["injection"].weights
    only = recalibrated(codebook, {"user": [{"injection": text["injection"]} for text in found]})
    assert only.behaviors["jailbreak"].tables == codebook.behaviors["jailbreak"].tables
    with pytest.raises(ValueError, match="two benign texts"):
        recalibrated(codebook, {"user": [{name: values[:1] for name, values in found[0].items()}]})
