"""`alknet-firewall calibrate`: false-alarm rates of your own benign text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.cli.app import app
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import load_codebook
from alknet_firewall.errors import ConfigError
from alknet_firewall.evaluate.log_odds import window_log_odds
from alknet_firewall.verdict import CHANNELS


def run(*arguments: object) -> Result:
    environment = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env=environment)


def texts(count: int, seed: int = 0) -> list[str]:
    """Benign texts with a few letters z each, some of several windows."""
    rng = np.random.default_rng(seed)
    letters = list("abcdefgh " * 3 + "z")
    return ["".join(rng.choice(letters, rng.integers(10, 90))) + "." for _ in range(count)]


def as_shipped_for(benign: list[str], settings: Path, folder: Path) -> None:
    """Gives the codebook of the settings the rates of such texts, as one that was compiled has."""
    engine, path = Firewall(FirewallConfig.from_file(settings)).engine, folder / "codebook.safetensors"
    found = window_log_odds(engine, benign, "user")
    windows = [np.logaddexp(text["injection"], text["jailbreak"]) for text in found]
    table = RateTable.fit(np.concatenate(windows))
    path.write_bytes(replace(load_codebook(path), combined=dict.fromkeys(CHANNELS, table)).to_bytes())


def test_rates_are_those_of_the_given_texts(settings: Path, tmp_path: Path) -> None:
    own, fresh = tmp_path / "own.txt", texts(600, seed=1)
    own.write_text("\n".join(texts(400)) + "\n\n")
    out = tmp_path / "new" / "codebook.safetensors"
    found = run(
        "--benign", own, "-o", out, "--config", settings, "--channel", "tool", "--false-alarm-rate", 0.05
    )
    assert found.exit_code == 0, found.stderr
    assert (
        "tool" in found.stdout and "400" in found.stdout and "block_false_alarm_rate = 0.05" in found.stdout
    )
    assert "5.0 %   3.1 % to 7.3 %" in found.stdout
    assert found.stderr == ""
    before = FirewallConfig.from_file(settings, block_false_alarm_rate=0.05, review_false_alarm_rate=0.05)
    after = before.model_copy(update={"codebook": out})
    flagged = [
        np.mean([verdict.flagged for verdict in Firewall(config).screen_many(fresh, "tool")])
        for config in (before, after)
    ]
    assert flagged[0] > 0.15 and abs(flagged[1] - 0.05) < 0.035
    old, new = load_codebook(tmp_path / "codebook.safetensors"), load_codebook(out)
    assert new.fingerprint == old.fingerprint
    assert new.combined["tool"].count == pytest.approx(400, abs=20)
    assert new.provenance["recalibrated"]["texts"] == {"tool": 400}
    for channel in ("user", "document", "response"):
        assert new.combined[channel].own is None
        assert np.array_equal(new.combined[channel].log_odds, old.combined[channel].log_odds)
    assert list(new.behaviors) == list(old.behaviors)


def test_a_codebook_that_knows_too_little_for_the_thresholds_is_calibrated(settings: Path, tmp_path: Path) -> None:
    path, own, out = tmp_path / "codebook.safetensors", tmp_path / "own.txt", tmp_path / "out.safetensors"
    book = load_codebook(path)
    coarse = {name: replace(table, count=30) for name, table in book.combined.items()}
    path.write_bytes(replace(book, combined=coarse).to_bytes())
    with pytest.raises(ConfigError, match="knows no rate under"):
        Firewall(FirewallConfig.from_file(settings)).warm_up()
    own.write_text("\n".join(texts(400)))
    found = run("--benign", own, "-o", out, "--config", settings)
    assert found.exit_code == 0, found.stderr
    assert load_codebook(out).combined["user"].least_rate < 0.01


def test_json_lines_name_their_channel(settings: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "own.jsonl", tmp_path / "out.safetensors"
    lines = [{"text": text, "channel": ("document", "response")[i % 2]} for i, text in enumerate(texts(500))]
    lines += [{"text": text, "label": "hard_negative"} for text in texts(40)]
    own.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = run("--benign", own, "--out", out, "--config", settings, "--false-alarm-rate", 0.1)
    assert found.exit_code == 0, found.stderr
    assert "kept for tool" in found.stdout
    assert "channel user: 40 texts are few" in found.stderr and "160 more of its own" in found.stderr
    told = " ".join(
        run("--benign", own, "--out", out, "--config", settings, "--false-alarm-rate", 0.01).stderr.split()
    )
    assert told.count("rests in part on the shape of the shipped calibration. With 500 texts") == 2


def test_json_tells_what_was_done(settings: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "own.txt", tmp_path / "out.safetensors"
    own.write_text("\n".join(texts(300)))
    found = run("--benign", own, "--out", out, "--config", settings, "--json")
    assert found.exit_code == 0 and found.stderr == ""
    told = json.loads(found.stdout)
    assert told["codebook"] == str(out) and told["false_alarm_rate"] == 0.01
    channel = told["channels"]["user"]
    assert channel["texts"] == 300 and channel["share"]["low"] < 0.01 < channel["share"]["high"]
    assert 0 <= channel["before"] <= 1 and channel["known"] == pytest.approx(300 - channel["set_aside"])


def test_attacks_are_set_aside_and_named(settings: Path, tmp_path: Path) -> None:
    as_shipped_for(texts(500, seed=1), settings, tmp_path)
    own, out, listed = tmp_path / "own.txt", tmp_path / "out.safetensors", texts(400)
    for line in (7, 70, 300):
        listed[line - 1] = "zz " * 40
    own.write_text("\n".join(listed))
    arguments = ("--benign", own, "--out", out, "--config", settings)
    found = run(*arguments)
    assert found.exit_code == 0, found.stderr
    told = " ".join(found.stderr.split())
    assert "own.txt, lines 7, 70, 300" in told and "give --vetted" in told
    suspects = json.loads(run(*arguments, "--json").stdout)["channels"]["user"]["suspects"]
    assert sorted(suspect["line"] for suspect in suspects) == [7, 70, 300]
    vetted = json.loads(run(*arguments, "--json", "--vetted").stdout)["channels"]["user"]
    assert vetted["suspects"] == [] and vetted["set_aside"] == 0


def test_too_few_texts_are_refused(settings: Path, tmp_path: Path) -> None:
    own, out = tmp_path / "own.txt", tmp_path / "out.safetensors"
    own.write_text("\n".join(texts(198)))
    found = run("--benign", own, "--out", out, "--config", settings)
    assert found.exit_code == 1 and "200 are needed, 2 more" in " ".join(found.stderr.split())
    own.write_text("\n".join(texts(198) + ["\ufeff"] * 5))  # a text may hold no token
    found = run("--benign", own, "--out", out, "--config", settings, "--false-alarm-rate", 0.001)
    assert found.exit_code == 1 and "that takes 999 at least" in " ".join(found.stderr.split())
    assert not out.exists()


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
    own.write_text("\n".join(texts(200)))
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
