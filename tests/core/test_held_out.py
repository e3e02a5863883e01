"""Files of left-out rows: what `compile --held-out` writes, figures can be made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alknet_firewall.codebook.calibration import score_of
from alknet_firewall.codebook.compose import Thresholds
from alknet_firewall.compile.rows import Row, read_rows
from alknet_firewall.errors import DataError
from alknet_firewall.verdict import Action

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from alknet_firewall.compile.evidence import HeldOut
from alknet_firewall.evaluate.held_out import held_out_lines, scored_held_out

ROWS = [
    Row("line one\u2028line two\r\nthree \ud800", "injection", "a", "tool", payload="one", lang="en"),
    Row("good", "benign", "b", "user"),
    Row("so-so", "benign", "b", "user"),
]
HELD_OUT = HeldOut(ROWS, np.array([0, 1, 1]), np.array([[2.0, -1], [-9, -8], [0, -1]]), np.log([0.001, 0.7, 0.015]))


def test_rows_come_back_with_what_a_firewall_would_have_done(tmp_path: Path) -> None:
    file = tmp_path / "left_out.jsonl"
    file.write_bytes(held_out_lines(HELD_OUT, ("injection", "jailbreak")))
    assert list(read_rows([file])) == ROWS  # it is a file of labelled rows
    first = json.loads(file.read_text("utf-8").split("\n")[0])
    assert first["log_odds"] == {"injection": 2.0, "jailbreak": -1.0} and first["fold"] == 0
    scored = scored_held_out(file, Thresholds(0.01, 0.02))
    assert [one.action for one in scored] == [Action.BLOCK, Action.ALLOW, Action.REVIEW]
    assert scored[0].score == pytest.approx(score_of(np.log(0.001)), abs=1e-4)
    assert scored[2].false_alarm_rate == pytest.approx(0.015, rel=1e-3)


def test_a_file_of_other_rows_is_refused_by_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "x", "label": "benign", "channel": "user"}\n', "utf-8")
    with pytest.raises(DataError, match=r"line 1.*--held-out"):
        scored_held_out(file, Thresholds(0.01, 0.02))
