"""What the decoded views contribute: disguised attacks that are caught with them and without, disguise by disguise."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from evasion import REVERSIBLE, flagged, sample
from fits import Results

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row

_LONGEST, _SHORTEST = 600, 20  # characters, as in evasion.py


@contextmanager
def no_views() -> Iterator[None]:
    """Screening reads texts as they stand, normalised, and nothing that is decoded from them."""
    with patch("alknet_firewall.passages.decoded_views", lambda text: []):
        yield


def evasion_table(rows: Sequence[Row], count: int, folder: Path, threads: int, seed: int) -> None:
    """Prints means over the reversible disguises, with decoded views and without.

    Args:
        rows: Labelled rows; attacks are those that the firewall flags as they stand.
        count: Attacks, and benign texts, at most.
        folder: Where what was found for a disguise is kept.
        threads: Of the detector.
        seed: Of the choice of texts.
    """
    firewall = Firewall(FirewallConfig(threads=threads)).warm_up()
    short = [row for row in rows if _SHORTEST <= len(row.text) <= _LONGEST]
    attacks = sample([row for row in short if row.label in ATTACK_LABELS], 2 * count, seed)
    benign = sample([row for row in short if row.label in BENIGN_LABELS], count, seed)
    caught = [row for row, hit in zip(attacks, flagged(firewall, attacks, str)) if hit][:count]
    seen = sha256(firewall.engine.codebook.to_bytes())
    seen.update(json.dumps([(row.channel, row.text) for row in (*caught, *benign)]).encode())
    results = Results(folder / f"evasion-{seen.hexdigest()[:16]}.jsonl")
    found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for number, (name, change) in enumerate(REVERSIBLE.items(), 1):

        def shares(change: object = change) -> dict[str, float]:
            both = {"attacks": caught, "benign": benign}
            return {
                label: sum(flagged(firewall, own, change)) / max(len(own), 1)  # type: ignore[arg-type]
                for label, own in both.items()
            }

        found[True].append(results.get(name, shares))
        with no_views():
            found[False].append(results.get(f"{name}, not decoded", shares))
        told = f"{found[True][-1]['attacks']:.0%} with views, {found[False][-1]['attacks']:.0%} without"
        print(
            f"{time.strftime('%H:%M:%S')} disguise {number} of {len(REVERSIBLE)}, {name}: {told}",
            file=sys.stderr,
            flush=True,
        )
    print(f"\nOf {len(caught)} attacks that are caught plain and {len(benign)} benign texts, in the mean of ")
    print(f"{len(REVERSIBLE)} reversible disguises (at the defaults, by the bundled codebook):\n")
    print("| | attacks still flagged | at least 95 % of them | benign text flagged |\n| --- | ---: | ---: | ---: |")
    for views, name in ((True, "decoded views read"), (False, "not read")):
        own = found[views]
        kept = sum(one["attacks"] >= 0.95 for one in own)
        means = {label: sum(one[label] for one in own) / len(own) for label in ("attacks", "benign")}
        print(f"| {name} | {means['attacks']:.1%} | {kept} of {len(own)} disguises | {means['benign']:.1%} |")
