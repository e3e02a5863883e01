"""benchmarks/lakes.py, on the tiny detector: what it prints, and that it notices a kill."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from benchmarks import lakes
from tests.conftest import MakeCodebook, TinyModel


@pytest.fixture(autouse=True)
def tiny_by_default(
    tiny: TinyModel, make_codebook: MakeCodebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes the tiny detector the default of this process and of those that it starts."""
    codebook = tmp_path / "codebook.safetensors"
    codebook.write_bytes(make_codebook().to_bytes())
    monkeypatch.setenv("ALKNET_FIREWALL_CODEBOOK", str(codebook))
    monkeypatch.setenv("ALKNET_FIREWALL_WEIGHTS", str(tiny.path))


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
