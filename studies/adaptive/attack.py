"""An attacker who has the code and the codebook: how many queries until a caught attack passes, and what must be changed.

    python studies/adaptive/attack.py [DATA...] [--texts N] [--queries N] [--target T]... [--search S]... [--minutes M]

Starts from attacks that a target flags (from DATA, by default ../shared/data/calibration; without it from the committed
examples), searches for a draft that it does not flag and that still reads as the same instruction, and prints a table.
Outcomes are kept in `--folder` by the line; a run that was stopped goes on. Nothing of a text is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from hashlib import sha256
from pathlib import Path

from moves import Pieces
from outcomes import table
from safetensors.numpy import load
from search_disguise import disguise
from search_genetic import Genetic
from search_gradient import Gradient
from search_greedy import greedy
from search_padding import Padding
from search_split import Split
from starts import Start, benign_rows, example_starts, starts_of
from targets import AlknetTarget, Target, at_rate
from trial import Outcomes, Search, run

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.codebook.codebook import bundled_codebook, load_codebook
from alknet_firewall.compile.rows import Row, read_rows
from alknet_firewall.evaluate.peers import open_peer

TARGETS = ("score", "verdict", "tfidf", "guardian")
SEARCHES = ("greedy", "genetic", "padding", "disguise", "split", "gradient")
RATE = 0.02  # of false alarms, for peers; the firewall's own default for review
_DATA = Path("../shared/data/calibration")
_FITTED = 100  # rows of a source and label that a peer is fitted to
_BENIGN = 600


def opened(name: str, rows: list[Row], seed: int, threads: int) -> Target:
    """The target of that name."""
    if name in ("score", "verdict"):
        return AlknetTarget(Firewall(FirewallConfig(threads=threads)).warm_up(), blind=name == "verdict")
    if not rows:
        raise SystemExit(f"the target {name} needs DATA: its threshold is set on benign text")
    sources = sorted({row.source for row in rows})
    left_out = set(sources[::4])  # whole sources, so that the threshold is set on text of other hands
    benign = benign_rows([row for row in rows if row.source in left_out], seed, _BENIGN)
    return at_rate(open_peer(name, _thinned(rows, left_out), seed), benign, RATE)


def kept_in(folder: Path, seed: int) -> Path:
    """The file of outcomes for a seed and the tensors of the codebook that is attacked: another one has others."""
    path = FirewallConfig().codebook
    codebook = bundled_codebook() if path is None else load_codebook(path)
    digest = sha256()
    for name, tensor in sorted(load(codebook.to_bytes()).items()):
        digest.update(name.encode() + tensor.tobytes())
    return folder / f"outcomes-{digest.hexdigest()[:8]}-{seed}.jsonl"


def _thinned(rows: list[Row], left_out: set[str]) -> list[Row]:
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for row in rows:
        cell = row.source, row.label
        seen[cell] = seen.get(cell, 0) + 1
        if row.source not in left_out and seen[cell] <= _FITTED:
            kept.append(row)
    return kept


def caught(target: Target, starts: list[Start], count: int) -> list[Start]:
    """The first `count` starts that a target flags."""
    found: list[Start] = []
    for first in range(0, len(starts), 20):
        some = starts[first : first + 20]
        found += [one for one in some if target.judge([one.text], one.channel)[0].flagged]
        if len(found) >= count:
            break
    return found[:count]


def searches(names: list[str], pieces: Pieces, target: Target) -> dict[str, Search]:
    """The searches of these names; the gradient is that of our codebook, so it is only used against it."""
    made: dict[str, Search] = {
        "greedy": greedy, "genetic": Genetic(pieces), "padding": Padding(pieces),
        "disguise": disguise, "split": Split(pieces),
    }  # fmt: skip
    if "gradient" in names and isinstance(target, AlknetTarget) and not target.blind:
        made["gradient"] = Gradient(target.firewall.engine)
    return {name: made[name] for name in names if name in made}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, default=[_DATA] if _DATA.is_dir() else [])
    parser.add_argument("--texts", type=int, default=24)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--search", action="append", choices=SEARCHES)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long, and go on next time")
    parser.add_argument("--folder", type=Path, default=Path("build/adaptive"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    rows = list(read_rows(options.data))
    starts = starts_of(rows, options.seed) if rows else example_starts()
    pieces = Pieces.of(benign_rows(rows, options.seed, 150))
    outcomes = Outcomes(kept_in(options.folder, options.seed))
    told = []
    for name in options.target or ["score"]:
        target = opened(name, rows, options.seed, options.threads)
        own = caught(target, starts, options.texts)
        for searched, search in searches(options.search or list(SEARCHES), pieces, target).items():
            missing = [one for one in own if outcomes.get((name, searched, one.key), options.queries) is None]
            for outcome in run(target, (name, searched), search, missing, options.queries, deadline):
                outcomes.add(outcome)
            found = [outcomes.get((name, searched, one.key), options.queries) for one in own]
            done = [one for one in found if one is not None]
            told.append((name, searched, done))
            print(f"{time.strftime('%H:%M:%S')} {name} {searched}: {len(done)} of {len(own)}", file=sys.stderr, flush=True)
    print(table(told, options.queries))


if __name__ == "__main__":
    main()
