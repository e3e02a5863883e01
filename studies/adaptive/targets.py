"""What is attacked: our firewall with its shipped defaults, and other detectors at the same rate of false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from alknet_firewall import Firewall
from alknet_firewall.compile.rows import Row
from alknet_firewall.evaluate.metrics import threshold
from alknet_firewall.evaluate.peers import Peer


@dataclass(frozen=True)
class Answer:
    """What a target says of a text.

    Attributes:
        flagged: Whether it is held back.
        score: The higher, the worse; all that a search sees beside `flagged`.
    """

    flagged: bool
    score: float


class Target(Protocol):
    """Judges texts."""

    @property
    def name(self) -> str: ...

    def judge(self, texts: Sequence[str], channel: str) -> list[Answer]:
        """One answer a text, in order."""
        ...


@dataclass(frozen=True)
class AlknetTarget:
    """The firewall; `blind`: only the action is known, not the score."""

    firewall: Firewall
    blind: bool = False
    name: str = "alknet-firewall"

    def judge(self, texts: Sequence[str], channel: str) -> list[Answer]:
        verdicts = self.firewall.screen_many(texts, channel)
        failed = next((one.error for one in verdicts if one.error), None)
        if failed:
            raise RuntimeError(f"the firewall answered with a fault: {failed}")
        return [Answer(one.flagged, float(one.action.severity) if self.blind else one.score) for one in verdicts]


@dataclass(frozen=True)
class PeerTarget:
    """Another detector; what scores above `limit` is flagged."""

    peer: Peer
    limit: float

    @property
    def name(self) -> str:
        return self.peer.name

    def judge(self, texts: Sequence[str], channel: str) -> list[Answer]:
        return [Answer(score > self.limit, score) for score in self.peer.score(texts)]


def at_rate(peer: Peer, benign: Sequence[Row], rate: float) -> PeerTarget:
    """A peer that flags at most `rate` of these benign texts, which it must not have been fitted to."""
    return PeerTarget(peer, threshold(peer.score([row.text for row in benign]), rate))
