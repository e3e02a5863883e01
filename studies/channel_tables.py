"""Whose benign text should set the threshold of a channel: its own, or documents' as well?

    alknet-firewall compile --data DATA --out codebook.safetensors --held-out left_out.jsonl
    python studies/channel_tables.py left_out.jsonl [--channel tool] [--rate 0.02]

For each choice of benign text and each fold the threshold that `--rate` of it passes is set on the rows that were left
out together; sources weigh the same, those of documents by a share of that. Told are the attacks of the channel that
pass it, the benign text of the channel that does, and the benign documents that would if they came as that channel;
means over sources of 15 rows or more, with 95 % intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row
from alknet_firewall.errors import DataError
from alknet_firewall.evaluate.held_out import held_out_fields, shown
from alknet_firewall.evaluate.metrics import Estimate, equal_weights, large_enough, threshold
from alknet_firewall.evaluate.sources import share_over

SHARES = (0.0, 0.1, 0.2, 0.5, 1.0)
"""What a source of documents weighs beside one of the channel."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held_out", type=Path, help="from `alknet-firewall compile --held-out`")
    parser.add_argument("--channel", choices=("tool", "user", "response"), default="tool")
    parser.add_argument("--rate", type=float, default=0.02)
    options = parser.parse_args(arguments)
    if not 0 < options.rate < 1:
        parser.error("--rate must lie between 0 and 1")
    rows, scores, folds = evidence(options.held_out)
    print("| benign text of | attacks flagged | benign flagged | benign documents flagged |")
    print("| --- | ---: | ---: | ---: |")
    for share in SHARES:
        weigh = {options.channel: 1.0, "document": share}
        hit = np.zeros(len(rows), np.bool_)
        for fold in np.unique(folds).tolist():
            ground = [i for i in np.flatnonzero(folds == fold) if rows[i].label in BENIGN_LABELS]
            ground = [i for i in ground if weigh.get(rows[i].channel)]
            if not ground:
                continue
            weights = equal_weights([rows[i].source for i in ground])
            weights = weights * [weigh[rows[i].channel] for i in ground]
            hit |= (folds == fold) & (scores > threshold(scores[ground], options.rate, weights))
        shares = (
            passing(rows, hit, ATTACK_LABELS, options.channel),
            passing(rows, hit, BENIGN_LABELS, options.channel),
            passing(rows, hit, BENIGN_LABELS, "document"),
        )
        cells = ["" if found is None else shown(found) for found in shares]
        print(f"| {options.channel}, and documents at {share:g} | {' | '.join(cells)} |")


def evidence(path: Path) -> tuple[list[Row], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The rows, the summed log-odds of each, and its fold.

    Raises:
        DataError: A line has none.
    """
    rows, scores, folds = [], [], []
    for number, row, told in held_out_fields(path):
        rows.append(row)
        try:
            scores.append(float(np.logaddexp.reduce(np.array([*told["log_odds"].values()], np.float64))))
            folds.append(int(told["fold"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{path}, line {number}: no `log_odds` and `fold` as `compile --held-out` writes") from error
        if not np.isfinite(scores[-1]):
            raise DataError(f"{path}, line {number}: `log_odds` must be finite numbers")
    return rows, np.array(scores), np.array(folds)


def passing(
    rows: Sequence[Row], hit: npt.NDArray[np.bool_], labels: Sequence[str], channel: str
) -> Estimate | None:
    """The share of the rows of some labels and a channel that is hit, sources weighing the same; None without rows."""
    own = [i for i, row in enumerate(rows) if row.label in labels and row.channel == channel]
    kept = large_enough([rows[i].source for i in own])
    own = [i for i in own if rows[i].source in kept]
    return share_over([rows[i].source for i in own], hit[own].tolist()) if own else None


if __name__ == "__main__":
    main()
