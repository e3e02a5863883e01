"""How well each language is told: figures of rows whose source was left out, by language.

    alknet-firewall compile --data DATA --out codebook.safetensors --held-out left_out.jsonl
    python studies/languages.py left_out.jsonl [--by channel length ...]

The language is that which a row names, or else what script and function words tell (`evaluate/languages.py`);
languages in Latin script other than English stand together where they have few rows. AUROC is against benign text of
the same language, where there is some; recall at thresholds set on all benign text; shares flagged are those at the
default thresholds, by tables that the row's fold took no part in. In each row of the table sources with 5 rows or more
count, and weigh the same; in brackets 95 % intervals, over sources and rows. `alknet-firewall evaluate` prints the same
for other labelled rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from alknet_firewall import FirewallConfig
from alknet_firewall.evaluate.held_out import scored_held_out, shown
from alknet_firewall.evaluate.metrics import Estimate
from alknet_firewall.evaluate.scoring import ScoredRow
from alknet_firewall.evaluate.slices import ALL, DIMENSIONS, Slice, slices
from alknet_firewall.evaluate.sources import BySource
from alknet_firewall.policy import thresholds_of

RATES = (0.01, 0.05)
COLUMNS = (
    "attacks (sources)", "benign (sources)", "AUROC", "recall at 1 %", "recall at 5 %", "attacks flagged", "benign flagged",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held_out", type=Path, help="from `alknet-firewall compile --held-out`")
    parser.add_argument("--by", nargs="+", default=["language"], choices=DIMENSIONS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = scored_held_out(options.held_out, thresholds_of(FirewallConfig()))
    print(f"| | {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * len(COLUMNS)}")
    for one in parts(rows, [ALL, *options.by], options.seed):
        print(f"| {one.value} | {' | '.join(cells(one))} |")
    unnamed = sum(not row.row.lang for row in rows)
    print(f"\n{len(rows)} left-out rows, {unnamed} of which name no language; seed {options.seed}.")


def parts(rows: list[ScoredRow], dimensions: list[str], seed: int) -> list[Slice]:
    """The slices of some dimensions; languages by how many rows they have."""
    scores = np.array([row.score for row in rows])
    limits = BySource.of([row.row for row in rows]).thresholds(scores, RATES)
    found: list[Slice] = []
    for dimension in dimensions:
        own = slices(rows, limits, dimensions=(dimension,), seed=seed)
        by_size = sorted(own, key=lambda one: -one.attacks - one.benign)
        found += by_size if dimension == "language" else own
    return found


def cells(one: Slice) -> list[str]:
    """A line of the table."""
    recall = [told(one.recall.get(rate)) for rate in RATES]
    return [
        f"{one.attacks} ({one.attack_sources})",
        f"{one.benign} ({one.benign_sources})",
        told(one.auroc),
        *recall,
        told(one.flagged),
        told(one.false_alarms),
    ]


def told(estimate: Estimate | None) -> str:
    return "" if estimate is None else shown(estimate)


if __name__ == "__main__":
    main()
