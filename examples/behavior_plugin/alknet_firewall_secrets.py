"""A behavior for alknet-firewall: credentials in what a tool returns or a model answers."""

from __future__ import annotations

import math
import re

import numpy as np

from alknet_firewall import hookimpl
from alknet_firewall.behavior import Evidence, Passage

KINDS = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    "GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\."),
}
RATE = 1e-3  # a pattern has no distribution to read a rate from: this is what we claim for it


class Secrets:
    """Counts credentials in a window; implements `alknet_firewall.behavior.Behavior`."""

    name = "secrets"
    default_action = "review"

    def assess(self, passages: list[Passage], channel: str) -> list[Evidence]:
        return [_find(passage) if channel in ("tool", "response") else Evidence(0.0) for passage in passages]

    def false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return RATE if log_odds > 0 else 1.0

    def log_false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return math.log(self.false_alarm_rate(log_odds, channel, windows))


def _find(passage: Passage) -> Evidence:
    found: dict[str, float] = {}
    scores = np.zeros(len(passage.ids), np.float32)  # 1 for each token of a credential: these make the span
    for kind, pattern in KINDS.items():
        for match in pattern.finditer(passage.text):
            found[kind] = found.get(kind, 0.0) + 1
            scores[(passage.offsets[:, 0] < match.end()) & (passage.offsets[:, 1] > match.start())] = 1
    return Evidence(sum(found.values(), 0.0), found, scores if found else None)


@hookimpl
def alknet_firewall_behaviors() -> list[Secrets]:
    return [Secrets()]
