"""How well `deception` is told on sources that were left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alknet_firewall.compile.evidence import HeldOut
from alknet_firewall.evaluate.metrics import FEWEST, auroc
from alknet_firewall.sae.behavior import DECEPTION

_REPLICATES = 500


def left_out(held_out: HeldOut, seed: int = 0) -> dict[str, list[float]]:
    """By source, AUROC of its false against its honest rows, and the ends of its 95 % interval.

    The interval is a bootstrap over groups (`gid`), or over rows without one. Sources of few rows are left out.
    """
    scores = held_out.log_odds[:, 0]
    lies = np.array([row.label == DECEPTION for row in held_out.rows])
    sources = np.array([row.source for row in held_out.rows])
    groups = np.array([row.gid or f"\0{i}" for i, row in enumerate(held_out.rows)])
    found = {}
    for source in sorted(set(sources.tolist())):
        own = np.flatnonzero(sources == source)
        if min(lies[own].sum(), (~lies[own]).sum()) >= FEWEST:
            found[source] = _interval(scores[own], lies[own], groups[own], np.random.default_rng(seed))
    return found


def _interval(
    scores: npt.NDArray[np.float64],
    lies: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.str_],
    generator: np.random.Generator,
) -> list[float]:
    _, number = np.unique(groups, return_inverse=True)
    order = np.argsort(number, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    draws = []
    for _ in range(_REPLICATES):
        drawn = np.concatenate([members[i] for i in generator.integers(len(members), size=len(members))])
        if 0 < lies[drawn].sum() < len(drawn):
            draws.append(auroc(scores[drawn][lies[drawn]], scores[drawn][~lies[drawn]]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return [round(float(value), 4) for value in (auroc(scores[lies], scores[~lies]), low, high)]
