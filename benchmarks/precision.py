"""How far verdicts agree between the precisions that the bundled codebook is said to hold for.

    python benchmarks/precision.py DATA... [--limit N]

DATA are JSON-lines files of labelled rows, or folders of them; at most N rows of each source are taken. Prints a
Markdown table: the share of texts with the same action as in fp32, the largest difference of scores, and the share of
benign text that is flagged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.compile.rows import BENIGN_LABELS, Row, read_rows

Verdicts = list[tuple[str, float, bool]]  # action, score, benign and flagged


def verdicts(firewall: Firewall, rows: list[Row]) -> Verdicts:
    found: dict[int, tuple[str, float, bool]] = {}
    for channel in sorted({row.channel for row in rows}):
        own = [i for i, row in enumerate(rows) if row.channel == channel]
        for i, verdict in zip(own, firewall.screen_many([rows[i].text for i in own], channel)):
            benign = rows[i].label in BENIGN_LABELS
            found[i] = (verdict.action.value, verdict.score, benign and verdict.flagged)
    return [found[i] for i in range(len(rows))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", nargs="*", type=Path)
    arguments.add_argument("--limit", type=int, default=100)
    options = arguments.parse_args()
    if not options.data:
        print("give labelled rows: python benchmarks/precision.py DATA...")
        return
    counts: dict[str, int] = {}
    rows = []
    for row in read_rows(options.data):
        counts[row.source] = counts.get(row.source, 0) + 1
        if counts[row.source] <= options.limit:
            rows.append(row)
    precisions = Firewall().engine.codebook.precisions
    found = {p: verdicts(Firewall(FirewallConfig(precision=p)), rows) for p in sorted(precisions)}
    reference = found["fp32"]
    benign = sum(row.label in BENIGN_LABELS for row in rows)
    print(f"{len(rows)} texts, {benign} of them benign\n")
    print("| precision | same action as fp32 | largest difference of scores | benign text flagged |")
    print("| --- | ---: | ---: | ---: |")
    for precision, own in found.items():
        same = sum(a[0] == b[0] for a, b in zip(own, reference)) / len(rows)
        apart = max(abs(a[1] - b[1]) for a, b in zip(own, reference))
        flagged = sum(each[2] for each in own) / max(benign, 1)
        print(f"| {precision} | {same:.2%} | {apart:.3f} | {flagged:.2%} |")


if __name__ == "__main__":
    main()
