"""What a codebook holds, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.lexical import LEXICAL
from alknet_firewall.codebook.model import CodebookBehavior
from alknet_firewall.evaluate.metrics import auroc

RATES = (0.1, 0.05, 0.02, 0.01, 0.001)
_GRID = 512


def described(codebook: Codebook) -> dict[str, Any]:
    """A codebook as a JSON-ready dictionary, without its arrays."""
    return {
        "fingerprint": codebook.fingerprint,
        "detector": codebook.detector,
        "taps": list(codebook.taps),
        "precisions": list(codebook.precisions),
        "window": {"size": codebook.window.size, "overlap": codebook.window.overlap},
        "group": list(codebook.group),
        "behaviors": {name: _behavior(behavior) for name, behavior in codebook.behaviors.items()},
        "combined": {channel: _table(table) for channel, table in codebook.combined.items()},
        "provenance": dict(codebook.provenance),
    }


def _behavior(behavior: CodebookBehavior) -> dict[str, Any]:
    separations = _separations(behavior)
    coordinates = behavior.coordinates
    directions = []
    for j, (weight, separation) in enumerate(zip(behavior.weights[-1].tolist(), separations)):
        words = j >= len(coordinates)
        directions.append(
            {
                "tap": None if words else int(coordinates.taps[j]),
                "readout": LEXICAL if words else coordinates.readouts[j],
                "weight": weight,
                "separation": separation,
            }
        )
    return {
        "default_action": behavior.default_action,
        "bias": float(behavior.biases[-1]),
        "directions": directions,
        "word_buckets": 0 if behavior.word_weights is None else int(np.count_nonzero(behavior.word_weights)),
        "calibration": {channel: _table(table) for channel, table in behavior.tables.items()},
    }


def _separations(behavior: CodebookBehavior) -> list[float]:
    """How well each coordinate tells attacks from benign text by itself: the AUROC of its two densities."""
    knots = behavior.benign.knots
    span = knots[:, -1] - knots[:, 0]
    steps = np.linspace(-0.5, 1.5, _GRID)[:, None]  # in units of the range between the outer knots
    grid = knots[:, 0] + steps * span  # (grid, k)
    attack, benign = behavior.attack(grid), behavior.benign(grid)
    ratios = attack - benign
    masses = [np.exp(heights - heights.max(0)) for heights in (attack, benign)]
    columns = range(grid.shape[1])
    return [auroc(ratios[:, j], ratios[:, j], masses[0][:, j], masses[1][:, j]) for j in columns]


def _table(table: RateTable) -> dict[str, Any]:
    return {
        "benign_texts": round(table.count),
        "log_odds_at": {str(rate): log_odds_at(table, rate) for rate in RATES},
        "decay": table.decay,
    }


def log_odds_at(table: RateTable, rate: float) -> float | None:
    """The log-odds that a share `rate` of benign windows reaches; None where too few texts were seen to say."""
    if rate < table.least_rate:
        return None
    return table.value_at(float(np.log(rate)))
