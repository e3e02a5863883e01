"""A firewall that reads views beside its windows, with thresholds such that it flags no more benign text than before.

What the windows say and what the views say are each turned into a false-alarm rate; the smaller of the two counts, and
the threshold on it is set on benign text so that as many are flagged as by the firewall as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from targets import Answer
from views import Views

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.compile.rows import Row
from alknet_firewall.engine import Engine, Tally
from alknet_firewall.passages import pieces

_NOTHING_SEEN = -30.0  # log-odds of a text that has no views: no more than its windows say


@dataclass(frozen=True)
class Read:
    """What a text's windows and views say: the log of the windows' false-alarm rate, and the views' highest log-odds."""

    log_rate: float
    view: float


def read(engine: Engine, views: Views, texts: Sequence[str], channel: str) -> list[Read]:
    """Reads texts of a channel, all together."""
    window, tokenizer = engine.codebook.window, engine.detector.tokenizer
    tallies = [Tally() for _ in texts]
    waiting = [
        (i, piece)
        for i, text in enumerate(texts)
        for piece in engine.allowed(pieces(text, tokenizer, window.size, window.overlap), tallies[i])
    ]
    channels = [channel] * len(texts)
    for i, piece, evidence in engine.assessed(waiting, channels):
        engine.add(tallies[i], piece, evidence)
    seen = [Tally() for _ in texts]
    more = [(i, piece) for i, text in enumerate(texts) for piece in views.of(engine, text, tallies[i])]
    for i, piece, evidence in engine.assessed(more, channels):
        engine.add(seen[i], piece, evidence)
    table = engine.codebook.combined[channel]
    return [
        Read(table.log_rate(tally.group_log_odds, tally.windows), max(view.group_log_odds, _NOTHING_SEEN))
        for tally, view in zip(tallies, seen)
    ]


@dataclass(frozen=True)
class Hardened:
    """A firewall with views; a target.

    Attributes:
        engine: What reads.
        views: What is read beside the windows.
        tables: From the views' log-odds to false-alarm rates, by channel.
        limit: Logarithm of the rate at or under which a text is flagged.
    """

    engine: Engine
    views: Views
    tables: dict[str, RateTable]
    limit: float

    @property
    def name(self) -> str:
        return self.views.name

    @classmethod
    def fitted(cls, engine: Engine, views: Views, benign: Sequence[Row]) -> Hardened:
        """Sets thresholds on benign rows of all channels."""
        tables: dict[str, RateTable] = {}
        before, rates = 0, []
        most = np.log(engine.config.review_false_alarm_rate)
        for channel in sorted({row.channel for row in benign}):
            own = read(engine, views, [row.text for row in benign if row.channel == channel], channel)
            tables[channel] = RateTable.fit([one.view for one in own])
            before += sum(one.log_rate <= most for one in own)
            rates.append(_combined(own, tables[channel]))
        ranked = np.sort(np.concatenate(rates))
        # Between the last that may be flagged and the first that may not.
        bounds = np.concatenate([[ranked[0] - 2.0], ranked, [ranked[-1] + 2.0]])
        return cls(engine, views, tables, float(bounds[before : before + 2].mean()))

    def judge(self, texts: Sequence[str], channel: str) -> list[Answer]:
        rates = _combined(read(self.engine, self.views, texts, channel), self.tables[channel])
        return [Answer(bool(rate <= self.limit), -float(rate)) for rate in rates]


def _combined(own: Sequence[Read], table: RateTable) -> npt.NDArray[np.float64]:
    return np.array([min(one.log_rate, table.log_rate(one.view)) for one in own])
