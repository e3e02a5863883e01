"""Single texts as turns, judged by fits that never saw their source: false alarms by number of turns, and averages.

    alknet-firewall compile --held-out rows.jsonl ...
    python studies/conversation_turns.py rows.jsonl

A benign conversation is made of texts of one source, as turns. First: how often its strongest turn alarms, if n turns
count as n^b independent ones. Then: whether an exponentially weighted average over turns finds what no single turn
shows. In the last turns of an attacked conversation stand four texts of one attack source, none of which would be
flagged (rates of 2 to 30 %), in ascending order; or one that would be (0.3 %). Each statistic has its threshold where it
flags a given share of the benign conversations of that length.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import gamma

from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS

TURNS = (4, 10, 20)
LENGTHS = (1, 5, 10, 20, 50)
POWERS = (0.0, 0.5, 0.71, 1.0)  # the bundled codebook's powers of the number of windows are 0.71 to 0.72
BOOTSTRAPS = 500
LAMBDA = 0.7
LAMBDAS = (0.3, 0.5, 0.7, 0.9)
SHARES = (0.01, 0.02, 0.05)
WEAK, STRONG = (-np.log(0.3), -np.log(0.02)), (-np.log(0.003), np.inf)
PER_SOURCE, FEWEST = 200, 100

Surprises = dict[tuple[str, str], np.ndarray]
"""By channel and source, minus the logarithms of the rates of texts."""


def main(path: Path) -> None:
    benign, attacks = read(path)
    benign = {key: values for key, values in benign.items() if len(values) >= FEWEST}
    rng = np.random.default_rng(0)
    alarms_by_turns(benign, rng)
    for turns in TURNS:
        calm = [statistics(rng.choice(values, (PER_SOURCE, turns))) for values in benign.values()]
        limits = {name: np.concatenate([one[name] for one in calm]) for name in calm[0]}
        for title, count, (low, high) in (("four weak turns", 4, WEAK), ("one strong turn", 1, STRONG)):
            found = []
            for (channel, source), values in attacks.items():
                pool = values[(values > low) & (values < high)]
                others = [own for (kind, name), own in benign.items() if kind == channel and name != source]
                if len(pool) < 2 * count or not others:
                    continue
                before = rng.choice(others[int(rng.integers(len(others)))], (PER_SOURCE, turns - count))
                drawn = np.sort([rng.choice(pool, count, replace=False) for _ in range(PER_SOURCE)])
                found.append(statistics(np.hstack([before, drawn])))
            print(f"\n{turns} turns, {title}, {len(found)} sources; caught where 1 / 2 / 5 % of benign ones are flagged")
            for name, calmly in limits.items():
                caught = [np.mean([np.mean(one[name] >= np.quantile(calmly, 1 - share)) for one in found]) for share in SHARES]
                print(f"  {name:<14}" + "".join(f"{share:>7.2f}" for share in caught))


def alarms_by_turns(benign: Surprises, rng: np.random.Generator) -> None:
    """Every source weighs the same; the interval is that of a bootstrap over sources."""
    print("False alarms in % (95 % interval) at thresholds of 1 % / 2 %, by number of turns")
    print(f"{'power':<18}" + "".join(f"{turns:>34}" for turns in LENGTHS))
    drawn_turns = {turns: [rng.choice(own, (PER_SOURCE, turns)) for own in benign.values()] for turns in LENGTHS}
    drawn = rng.integers(len(benign), size=(BOOTSTRAPS, len(benign)))
    for power, averaged in [*((power, False) for power in POWERS), (POWERS[2], True)]:
        cells = []
        for turns in LENGTHS:
            rates = [-np.expm1(turns**power * np.log1p(-np.exp(-own.max(1)))) for own in drawn_turns[turns]]
            if averaged:
                rates = [np.minimum(rate, average_rate(own)) for rate, own in zip(rates, drawn_turns[turns])]
            for level in SHARES[:2]:
                shares = 100 * np.array([np.mean(own <= level) for own in rates])
                low, high = np.quantile(shares[drawn].mean(1), (0.025, 0.975))
                cells.append(f"{shares.mean():.1f} ({low:.1f}-{high:.1f})")
        print(f"{f'{power:g}' + ', or average' * averaged:<18}" + "".join(f"{f'{one} / {two}':>34}" for one, two in zip(cells[::2], cells[1::2])))


def average_rate(surprises: np.ndarray) -> np.ndarray:
    """Of the highest exponentially weighted average: of independent benign turns nearly gamma-distributed. As one of two ways."""
    shape = (1 + LAMBDA) / (1 - LAMBDA)
    level = most = np.ones(len(surprises))
    for turn in surprises.T:
        level = LAMBDA * level + (1 - LAMBDA) * turn
        most = np.maximum(most, level)
    rate: np.ndarray = 2 * surprises.shape[1] ** POWERS[2] * gamma.sf(most, shape, scale=1 / shape)
    return rate


def read(path: Path) -> tuple[Surprises, Surprises]:
    """Of benign texts, and of attacks."""
    benign: dict[tuple[str, str], list[float]] = defaultdict(list)
    attacks: dict[tuple[str, str], list[float]] = defaultdict(list)
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            for kept, labels in ((benign, BENIGN_LABELS), (attacks, ATTACK_LABELS)):
                if row["label"] in labels and row["log_rate"] is not None:
                    kept[row["channel"], row["source"]].append(-row["log_rate"])
    first, second = ({key: np.array(own) for key, own in kept.items()} for kept in (benign, attacks))
    return first, second


def statistics(surprises: np.ndarray) -> dict[str, np.ndarray]:
    """Of conversations, (n, turns): the strongest turn, and the highest that exponentially weighted averages come to."""
    found = {"strongest turn": surprises.max(1)}
    for weight in LAMBDAS:
        level = most = np.zeros(len(surprises))
        for turn in surprises.T:
            level = weight * level + (1 - weight) * turn
            most = np.maximum(most, level)
        found[f"average {weight:g}"] = most
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
