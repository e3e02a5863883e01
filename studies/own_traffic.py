"""Rows and what a codebook finds in their windows, kept on disk: the studies of calibration share them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alknet_firewall.codebook.text_rates import WindowLogOdds
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row, read_rows
from alknet_firewall.detector.cache import cache_folder
from alknet_firewall.engine import Engine
from alknet_firewall.evaluate.log_odds import window_log_odds
from alknet_firewall.evaluate.scoring import limited


@dataclass(frozen=True)
class Scored:
    """A row and the log-odds of its windows."""

    row: Row
    log_odds: WindowLogOdds


def scored_sources(
    engine: Engine, paths: Sequence[Path], benign_rows: int, attack_rows: int
) -> tuple[dict[str, list[Scored]], list[Scored]]:
    """Benign rows by source, at most `benign_rows` of each, and at most `attack_rows` attacks of each source."""
    rows = list(read_rows(paths))
    benign: dict[str, list[Row]] = {}
    for _, row in limited((row for row in rows if row.label in BENIGN_LABELS), None):
        benign.setdefault(row.source, []).append(row)
    attacks = [row for _, row in limited((row for row in rows if row.label in ATTACK_LABELS), attack_rows)]
    chosen = {"attacks": attacks, **{name: own[:benign_rows] for name, own in sorted(benign.items())}}
    found: dict[str, list[Scored]] = {name: [] for name in chosen}
    parts = sorted(chosen.items(), key=lambda part: sum(len(row.text) for row in part[1]))  # quick ones first
    for number, (name, own) in enumerate(parts, 1):
        print(f"\rscoring {number} of {len(parts)}: {name:<30}", end="", file=sys.stderr, flush=True)
        found[name] = [one for one in _scored(engine, own) if all(map(len, one.log_odds.values()))]
    print(file=sys.stderr)
    return found, found.pop("attacks")


def _scored(engine: Engine, rows: Sequence[Row]) -> list[Scored]:
    names = list(engine.codebook.behaviors)
    key = hashlib.sha256(engine.codebook.to_bytes())
    for row in rows:
        key.update(f"{row.channel} {len(row.text)} {row.text}".encode("utf-8", "surrogatepass"))
    path = cache_folder() / "studies" / f"{key.hexdigest()[:32]}.npz"
    if not path.is_file():
        listed = [next(window_log_odds(engine, [row.text], row.channel)) for row in rows]
        counts = np.array([len(one[names[0]]) for one in listed])
        values = np.array([np.concatenate([one[name] for one in listed]) for name in names])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path.with_suffix(".part.npz"), counts=counts, values=values)
        path.with_suffix(".part.npz").replace(
            path
        )  # in one step: a run may be stopped and goes on from there
    with np.load(path) as kept:
        windows = np.split(kept["values"], np.cumsum(kept["counts"])[:-1], axis=1)
    return [Scored(row, dict(zip(names, own))) for row, own in zip(rows, windows)]


def group_windows(engine: Engine) -> Callable[[Scored], np.ndarray]:
    """Reads the log-odds of the group in the windows of a text."""
    group = engine.codebook.group
    return lambda one: np.logaddexp.reduce([one.log_odds[name] for name in group])


def splits(count: int, first: int, repeats: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Divides `count` rows by chance into `first` ones and the others, `repeats` times."""
    generator = np.random.default_rng(seed)
    for _ in range(repeats):
        order = generator.permutation(count)
        yield order[:first], order[first:]
