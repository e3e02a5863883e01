"""The log-odds of every window of a text, as screening computes them and then forgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.behavior import Evidence, Passage
from alknet_firewall.codebook.model import CodebookBehavior
from alknet_firewall.firewall import Engine


@dataclass
class _Recorder:
    """A behavior that remembers what it found."""

    behavior: CodebookBehavior
    found: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.behavior.name
        self.default_action = self.behavior.default_action

    def assess(self, passages: list[Passage], channel: str) -> list[Evidence]:
        evidence = self.behavior.assess(passages, channel)
        self.found += [one.log_odds for one in evidence]
        return evidence

    def log_false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return self.behavior.log_false_alarm_rate(log_odds, channel, windows)

    def false_alarm_rate(self, log_odds: float, channel: str, windows: int) -> float:
        return self.behavior.false_alarm_rate(log_odds, channel, windows)


def window_log_odds(
    engine: Engine, texts: Iterable[str], channel: str
) -> Iterator[dict[str, npt.NDArray[np.float64]]]:
    """For each text: by behavior of the codebook, the log-odds of its windows, (n_windows,).

    The windows of a text come in one order for all behaviors (not always that of the text). A text without a token
    has no windows.

    Raises:
        AlknetFirewallError: A text cannot be screened.
    """
    recorders = {name: _Recorder(behavior) for name, behavior in engine.codebook.behaviors.items()}
    recording = replace(engine, behaviors=recorders)
    for text in texts:
        recording.judge([text], [channel])  # one at a time: the batch would mix the windows of several
        yield {name: np.array(recorder.found, np.float64) for name, recorder in recorders.items()}
        for recorder in recorders.values():
            recorder.found.clear()
