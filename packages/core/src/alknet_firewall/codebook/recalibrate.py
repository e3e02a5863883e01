"""A codebook with its false-alarm rates fitted anew, to the benign texts of the place where it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook

WindowLogOdds = Mapping[str, npt.NDArray[np.float64]]
"""Of one text: by behavior, the log-odds of its windows, (n_windows,), n_windows >= 1."""


def recalibrated(
    codebook: Codebook,
    benign: Mapping[str, Sequence[WindowLogOdds]],
    noted: Mapping[str, object] | None = None,
) -> Codebook:
    """The same codebook with other false-alarm rates; what it recognises stays as it is.

    Args:
        codebook: Any codebook.
        benign: By channel, the log-odds of benign texts with this codebook, two texts at least; channels that
            are missing keep their tables, and so do behaviors.
        noted: What the provenance shall say of these texts, JSON-ready.

    Raises:
        ValueError: A channel has fewer than two texts, or a value is not finite.
    """
    behaviors = dict(codebook.behaviors)
    combined = dict(codebook.combined)
    for channel, texts in benign.items():
        for name, behavior in behaviors.items():
            if texts and name in texts[0]:
                table = _table([text[name] for text in texts])
                behaviors[name] = replace(behavior, tables={**behavior.tables, channel: table})
        group = [name for name in codebook.group if texts and name in texts[0]]
        if group:  # the odds of the kinds of attack add up, as in screening
            combined[channel] = _table(
                [np.logaddexp.reduce([text[name] for name in group]) for text in texts]
            )
    counts = {channel: len(texts) for channel, texts in benign.items()}
    provenance = {**codebook.provenance, "recalibrated": {"texts": counts, **(noted or {})}}
    return replace(codebook, behaviors=behaviors, combined=combined, provenance=provenance)


def _table(texts: Sequence[npt.NDArray[np.float64]]) -> RateTable:
    """Fits a table of single windows in which each text weighs the same, and that claims no more than the texts show.

    Screening asks a table for the rate of one window and allows for the number of windows itself.
    """
    weights = np.concatenate([np.full(len(text), 1 / len(text)) for text in texts])
    table = RateTable.fit(np.concatenate(texts), weights)
    return replace(table, count=float(len(texts)))  # windows of one text are not independent
