"""What `doctor` says of the backends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import FirewallConfig
from alknet_firewall.cli.check_backends import available, examined
from alknet_firewall.cli.checks import Finding, State
from alknet_firewall.detector.choice import Candidate
from alknet_firewall.engine import Engine, load_engine
from alknet_firewall.errors import DetectorError
from alknet_firewall.plugins import load_plugins

MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tmp_path: Path, tiny: Any, make_codebook: Any) -> MakeEngine:
    def make(precisions: tuple[str, ...] = ("int8", "fp32"), **settings: Any) -> Engine:
        path = tmp_path / "codebook.safetensors"
        path.write_bytes(make_codebook(precisions=precisions).to_bytes())
        return load_engine(FirewallConfig(codebook=path, weights=str(tiny.path), threads=1, plugins=(), **settings))

    return make


def told(engine: Engine) -> dict[str, Finding]:
    return {finding.about.removeprefix("backend "): finding for finding in examined(engine)}


def test_the_fastest_is_taken(make_engine: MakeEngine) -> None:
    found = told(make_engine())
    assert list(found) == ["onnxruntime", "openvino", "cuda", "torch"]
    taken = found["onnxruntime"]
    assert taken.state is State.GOOD
    assert re.fullmatch(
        r"taken, the fastest that is right here: int8, cosine 0\.99\d+ to the reference, [\d.]+ ms for 64 tokens",
        taken.text,
    )
    for name in ("openvino", "torch"):
        assert found[name].state is State.NOTED
        assert re.match(r"fp32, cosine 1\.00000|not available: not installed", found[name].text)


def test_as_configured(make_engine: MakeEngine) -> None:
    found = told(make_engine(backend="onnxruntime", precision="fp32"))
    assert found["onnxruntime"].text.startswith("taken, as configured: fp32, cosine 1.0")


def test_precisions_that_the_codebook_does_not_know(make_engine: MakeEngine) -> None:
    found = told(make_engine(precisions=("int8",)))
    assert found["torch"].text == "computes in fp32; the codebook is calibrated for int8"


def test_one_that_fails(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise DetectorError("self-test: is off")

    engine = make_engine()
    monkeypatch.setattr(Candidate, "load", fails)
    monkeypatch.setattr("alknet_firewall.cli.check_backends.why_not", lambda *_: None)
    found = told(engine)
    assert found["torch"] == Finding("backend torch", State.WARNING, "fails: self-test: is off")


def test_without_an_engine() -> None:
    found = {finding.about: finding for finding in available(load_plugins([]))}
    assert list(found) == ["backend onnxruntime", "backend openvino", "backend cuda", "backend torch"]
    assert "computes in int8, fp32" in found["backend onnxruntime"].text
