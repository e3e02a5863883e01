"""benchmarks/lakes.py, on the tiny detector: what it prints, and that it notices a kill."""

from __future__ import annotations

import os
import re

import pytest

from benchmarks import lakes

pytestmark = pytest.mark.usefixtures("tiny_by_default")


def test_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    lakes.main(["--rows", "60", "--part-rows", "20", "--processes", "1", "2", "--engines", "local"])
    printed = capsys.readouterr().out
    assert re.search(r"\| local, 2 \| [\d.]+ \| [\d.]+ \| [\d.]+ × \| [\d.]+ \|", printed)
    assert "| different outputs | 1 | 1 | yes |" in printed


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_kills(capsys: pytest.CaptureFixture[str]) -> None:
    lakes.main(["--rows", "400", "--part-rows", "5", "--processes", "1", "--kills", "1"])
    printed = capsys.readouterr().out
    assert "400 rows, 1 processes, killed 1 times" in printed
    assert "| outputs that differ | 0 | 0 | yes |" in printed
    assert "| rows lost or doubled | 0 | 0 | yes |" in printed
