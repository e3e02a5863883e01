"""The log-odds of every window of a text, as screening computes them and then forgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.engine import Engine


def window_log_odds(
    engine: Engine, texts: Iterable[str], channel: str
) -> Iterator[dict[str, npt.NDArray[np.float64]]]:
    """For each text: by behavior of the codebook, the log-odds of its windows, (n_windows,).

    The windows of a text come in one order for all behaviors (not always that of the text). A text without a token
    has no windows.

    Raises:
        AlknetFirewallError: A text cannot be screened.
    """
    names = list(engine.codebook.behaviors)
    every = replace(engine, behaviors=engine.codebook.behaviors)  # those that are off, too
    for text in texts:
        found: dict[str, list[float]] = {name: [] for name in names}
        for evidence in every.windows(text, channel):
            for name in names:
                found[name].append(evidence[name].log_odds)
        yield {name: np.array(values, np.float64) for name, values in found.items()}
