"""A plugin as strangers write them, for the contract suite: one behavior that raises, one that is slow."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path

from alknet_firewall import hookimpl
from alknet_firewall.behavior import Evidence, Passage
from tests.hosts.cases import CANARY

SLOW_SECONDS = 0.3
ENTRY_POINTS = {"contract_raising": "tests.hosts.faults:RAISING", "contract_slow": "tests.hosts.faults:SLOW"}
"""Plugins of this module, by the name that settings give."""


class Quiet:
    """A behavior that finds nothing; the canary sets it off, so that engines load in peace."""

    default_action = "inform"

    def __init__(self, name: str) -> None:
        self.name = name

    def assess(self, passages: list[Passage], channel: str) -> list[Evidence]:
        if any(CANARY in passage.text for passage in passages):
            self.go_off(passages)
        return [Evidence(-10.0) for _ in passages]

    def go_off(self, passages: list[Passage]) -> None:
        raise NotImplementedError

    def log_false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return math.log(self.false_alarm_rate(log_odds, channel, windows))

    def false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return 1.0


class _Raising(Quiet):
    def go_off(self, passages: list[Passage]) -> None:
        raise RuntimeError(f"cannot read {passages[0].text!r}")  # quotes the text, as careless code does


class Slow(Quiet):
    """Takes its time, or for as long as it is told to until somebody else has had a turn."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.longest = SLOW_SECONDS
        self.inside, self.others = threading.Event(), threading.Event()
        self.met: list[bool] = []  # whether somebody had, each time

    def go_off(self, passages: list[Passage]) -> None:
        self.inside.set()
        self.met.append(self.others.wait(self.longest))


class _Plugin:
    def __init__(self, behavior: Quiet) -> None:
        self.behavior = behavior

    @hookimpl
    def alknet_firewall_behaviors(self) -> list[Quiet]:
        return [self.behavior]


RAISING = _Plugin(_Raising("raising"))
SLOWLY = Slow("slow")
SLOW = _Plugin(SLOWLY)


def install(folder: Path, points: Mapping[str, str] = ENTRY_POINTS, name: str = "contract_faults") -> None:
    """Writes the metadata that make modules installed plugins, once `folder` is on the path."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = ["[alknet_firewall]", *(f"{point} = {target}" for point, target in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
