"""Faults while screening become verdicts by the policy, each by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from alknet_firewall import Action, Firewall
from alknet_firewall.detector.protocol import DetectorModel, FloatArray, Stage, TokenIds
from alknet_firewall.errors import (
    AlknetFirewallError,
    DetectorError,
)
from tests.core.test_firewall import Fault, Tiny, Z, tiny_firewall  # noqa: F401


class Faulty:
    """A model that misbehaves as it is told at one of its taps, on batches with the letter of token `trigger`."""

    backend, precision = "faulty", "fp32"

    def __init__(self, model: DetectorModel, fault: Fault, trigger: int, tap: int = 0) -> None:
        self._model, self._fault, self._trigger, self._tap = model, fault, trigger, tap

    def begin(self, batch: Sequence[TokenIds]) -> Stage:
        hit = any((ids == self._trigger).any() for ids in batch)
        return self._stage(self._model.begin(batch), hit, 0)

    def resume(self, stage: Stage, rows: npt.NDArray[np.int64]) -> Stage:
        inner, hit, tap = stage.carry
        return self._stage(self._model.resume(inner, rows), hit, tap + 1)

    def _stage(self, inner: Stage, hit: bool, tap: int) -> Stage:
        states = self._fault(inner.states) if hit and tap == self._tap else inner.states
        return Stage(states, (inner, hit, tap))


def with_fault(firewall: Firewall, fault: Fault, tap: int = 0) -> Firewall:
    """The firewall with a model that misbehaves on texts with `#`."""
    engine = firewall.engine
    trigger = int(engine.detector.tokenizer.encode("#").ids[0])
    model = Faulty(engine.detector.model, fault, trigger, tap)
    firewall._engine = replace(engine, detector=replace(engine.detector, model=model))
    return firewall


def raises(states: FloatArray) -> FloatArray:
    raise RuntimeError("the device is on fire")


FAULTS: dict[str, Fault] = {
    "raises": raises,
    "NaN": lambda states: states * np.float32(np.nan),
    "infinite": lambda states: states + np.float32(np.inf),
    "too few tokens": lambda states: states[:, :-1],
    "too few texts": lambda states: states[:0],
    "too narrow": lambda states: states[..., :-1],
    "flat": lambda states: states[0],
}


@pytest.fixture(params=[(name, tap) for name in sorted(FAULTS) for tap in (0, 1)], ids=str)
def faulty(request: pytest.FixtureRequest, tiny_firewall: Tiny) -> Tiny:  # noqa: F811
    name, tap = request.param
    return lambda **settings: with_fault(tiny_firewall(**settings), FAULTS[name], tap)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("policy", ["block", "review", "allow"])
def test_a_fault_becomes_a_verdict(faulty: Tiny, policy: str, caplog: pytest.LogCaptureFixture) -> None:
    firewall = faulty(on_error=policy)
    verdict = firewall.screen("secret words #")
    assert verdict.action is Action(policy) and verdict.error and verdict.flagged == (policy != "allow")
    assert "secret words" not in caplog.text
    json.dumps(verdict.to_dict(), allow_nan=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fault_is_raised_when_asked(faulty: Tiny) -> None:
    with pytest.raises((AlknetFirewallError, RuntimeError, KeyError, ValueError)):
        faulty(on_error="raise").screen("#")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fault_of_one_text_is_not_a_fault_of_others(faulty: Tiny) -> None:
    one, two, three = faulty().screen_many(["a quiet text", "#", Z])
    assert (
        one.action is Action.ALLOW
        and one.error is None
        and two.error
        and three.error is None
        and three.alarms
    )


def test_what_cannot_be_loaded_is_a_fault_too(tiny_firewall: Tiny, tmp_path: Path) -> None:  # noqa: F811
    firewall = tiny_firewall(weights=str(tmp_path / "none"))
    verdict = firewall.screen("text")
    assert verdict.action is Action.BLOCK and "no such file" in str(verdict.error)
    with pytest.raises(AlknetFirewallError, match="no such file"):
        firewall.warm_up()
    with pytest.raises(DetectorError, match="unknown"):
        tiny_firewall(backend="abacus", on_error="raise").screen("text")
