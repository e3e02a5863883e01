"""Whose benign text should set the threshold of a channel: its own, or that of others as well?

    alknet-firewall compile --data DATA --out codebook.safetensors --held-out left_out.jsonl
    python studies/channel_tables.py left_out.jsonl [--channel tool] [--rate 0.02]

For each choice of benign text the threshold that `--rate` of it passes is set on left-out rows, sources weighing the
same. Told are the attacks of the channel that pass it, the benign text of the channel that does, and the benign
documents that would if they came as that channel; means over sources.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, read_rows
from alknet_firewall.evaluate.sources import BySource
from alknet_firewall.verdict import CHANNELS


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held_out", type=Path, help="from `alknet-firewall compile --held-out`")
    parser.add_argument("--channel", choices=CHANNELS, default="tool")
    parser.add_argument("--rate", type=float, default=0.02)
    options = parser.parse_args(arguments)
    rows = list(read_rows([options.held_out]))
    lines = options.held_out.read_text(encoding="utf-8").split("\n")[:-1]
    scores = np.array([np.logaddexp.reduce([*json.loads(line)["log_odds"].values()]) for line in lines])

    def passing(labels: Sequence[str], channel: str, limit: float) -> float:
        picked = np.array([row.label in labels and row.channel == channel for row in rows])
        return mean_over_sources(scores[picked] > limit, np.array([row.source for row in rows])[picked])

    print("| benign text of | attacks flagged | benign flagged | benign documents flagged |")
    print("| --- | ---: | ---: | ---: |")
    for channels in ((options.channel,), (options.channel, "document"), CHANNELS):
        own = [i for i, row in enumerate(rows) if row.channel in channels]
        limit = BySource.of([rows[i] for i in own]).thresholds(scores[own], (options.rate,))[options.rate]
        shares = (
            passing(ATTACK_LABELS, options.channel, limit),
            passing(BENIGN_LABELS, options.channel, limit),
            passing(BENIGN_LABELS, "document", limit),
        )
        print(f"| {', '.join(channels)} | {' | '.join(f'{share:.1%}' for share in shares)} |")


def mean_over_sources(hits: npt.NDArray[np.bool_], sources: npt.NDArray[np.str_]) -> float:
    """The share of hits, every source weighing the same."""
    return float(np.mean([hits[sources == source].mean() for source in np.unique(sources)]))


if __name__ == "__main__":
    main()
