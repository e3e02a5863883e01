"""What the page must know before the first text: thresholds and what they mean, by channel; texts to start from."""

from __future__ import annotations

import json
import math
import re
from importlib.resources import files
from typing import Any

from alknet_firewall import __version__
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.engine import Engine
from alknet_firewall.policy import thresholds_of

_POINTS = 81
_WIDEST = 0.5  # of benign texts flagged: no threshold beyond it makes sense
_RECALL = re.compile(r"recall_at_(0?\.\d+)")


def about(engine: Engine) -> dict[str, Any]:
    """JSON-ready.

    Returns:
        `version`, `codebook`, `detector`, `taps`; `block`, `review`: the thresholds as set; `recall`: what is stored of
        it, by false-alarm rate; `channels`: by name how many benign `texts` are behind its table, the `least` rate that
        they can tell, and the `curve`: evidence (log-odds) and false-alarm rate, by pairs; `examples`.
    """
    codebook, thresholds = engine.codebook, thresholds_of(engine.config)
    examples = json.loads((files(__package__) / "examples.json").read_text(encoding="utf-8"))
    return {
        "version": __version__,
        "codebook": codebook.fingerprint[:12],
        "detector": codebook.detector,
        "taps": list(codebook.taps),
        "block": thresholds.block,
        "review": thresholds.review,
        "recall": _recall(codebook),
        "channels": {name: _channel(table) for name, table in codebook.combined.items()},
        "examples": examples,
    }


def _recall(codebook: Codebook) -> list[tuple[float, float]]:
    """False-alarm rate and recall, ascending: of sources that were left out while it was compiled."""
    stored = codebook.provenance.get("held_out")
    figures = stored.items() if isinstance(stored, dict) else ()
    found = ((_RECALL.fullmatch(name), value) for name, value in figures)
    return sorted((float(match[1]), float(value)) for match, value in found if match)


def _channel(table: RateTable) -> dict[str, Any]:
    least = table.least_rate
    low, high = math.log(least), math.log(_WIDEST)
    rates = [low + (high - low) * i / (_POINTS - 1) for i in range(_POINTS)]
    curve = [(round(table.value_at(rate), 3), math.exp(rate)) for rate in rates]
    return {"texts": round(table.count), "least": least, "curve": curve}
