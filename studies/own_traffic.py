"""Rows and what a codebook finds in their windows, kept on disk: the studies of calibration share them.

Each row that is scored is one line at the end of a file, so that a run can be stopped at any time, loses a row at most,
and goes on where it was. The file is named by the codebook and the detector. What it cannot know is whether the code
that reads texts has changed since: a few of its rows are scored anew at each start, and if they differ it says so.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alknet_firewall.codebook.text_rates import WindowLogOdds
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row, read_rows
from alknet_firewall.detector.cache import cache_folder
from alknet_firewall.engine import Engine
from alknet_firewall.evaluate.log_odds import window_log_odds
from alknet_firewall.evaluate.scoring import limited

_TOLD_EVERY = 20.0  # s
_CHECKED = 8  # rows that are scored anew at the start
_TOLERANCE = 1e-3  # of log-odds


@dataclass(frozen=True)
class Scored:
    """A row and the log-odds of its windows."""

    row: Row
    log_odds: WindowLogOdds


class ScoreFile:
    """Log-odds of windows by channel and text, in a file that only grows.

    Attributes:
        path: The file.
    """

    def __init__(self, engine: Engine, folder: Path | None = None) -> None:
        """Reads what is there; a last line that was not finished is cut off."""
        detector = engine.detector
        named = f"{hashlib.sha256(engine.codebook.to_bytes()).hexdigest()} {detector.fingerprint} {detector.model.precision}"
        name = hashlib.sha256(named.encode()).hexdigest()[:16]
        self.path = (folder or cache_folder() / "studies") / f"windows-{name}.jsonl"
        self._engine = engine
        self._known: dict[str, dict[str, list[float]]] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = 0
        with self.path.open("a+b") as file:
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                fields = json.loads(line)
                self._known[fields["key"]] = fields["log_odds"]
                whole += len(line)
            file.truncate(whole)

    def known(self, row: Row) -> WindowLogOdds | None:
        """What is found in the windows of a row, if it was scored already."""
        kept = self._known.get(_key(row))
        return None if kept is None else {name: np.array(values) for name, values in kept.items()}

    def score(self, row: Row) -> WindowLogOdds:
        """Scores a row and keeps what is found."""
        found = self._scored(row)
        kept = {name: values.round(5).tolist() for name, values in found.items()}
        self._known[_key(row)] = kept
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": _key(row), "log_odds": kept}) + "\n")
        return found

    def check(self, rows: Sequence[Row]) -> None:
        """Scores a few of the known ones among `rows` anew.

        Raises:
            SystemExit: They differ from what was kept.
        """
        there = [row for row in rows if _key(row) in self._known]
        for row in there[:: max(1, len(there) // _CHECKED)][:_CHECKED]:
            kept, found = self.known(row), self._scored(row)
            assert kept is not None
            for name, values in found.items():
                if name not in kept or len(values) != len(kept[name]) or not _close(values, kept[name]):
                    raise SystemExit(f"{self.path}: texts are read in another way since; delete it")

    def _scored(self, row: Row) -> Mapping[str, np.ndarray]:
        return next(window_log_odds(self._engine, [row.text], row.channel))


def scored_sources(
    engine: Engine,
    paths: Sequence[Path],
    benign_rows: int,
    attack_rows: int,
    *,
    folder: Path | None = None,
    known_only: bool = False,
) -> tuple[dict[str, list[Scored]], list[Scored]]:
    """Benign rows by source, at most `benign_rows` of each, and at most `attack_rows` attacks of each source.

    Args:
        engine: What scores them.
        paths: Labelled rows.
        benign_rows: Of each source.
        attack_rows: Of each source and label.
        folder: Where scores are kept (default: the user's cache).
        known_only: Leaves out what was not scored in an earlier run.
    """
    rows = list(read_rows(paths))
    benign: dict[str, list[Row]] = {}
    for _, row in limited((row for row in rows if row.label in BENIGN_LABELS), None):
        benign.setdefault(row.source, []).append(row)
    attacks = [row for _, row in limited((row for row in rows if row.label in ATTACK_LABELS), attack_rows)]
    chosen = {"attacks": attacks, **{name: own[:benign_rows] for name, own in sorted(benign.items())}}
    file = ScoreFile(engine, folder)
    listed = [row for own in chosen.values() for row in own]
    file.check(listed)
    if not known_only:
        _score(file, sorted(chosen.items(), key=lambda part: sum(len(row.text) for row in part[1])))
    found = {name: [Scored(row, odds) for row in own if (odds := _usable(file, row))] for name, own in chosen.items()}
    return found, found.pop("attacks")


def _score(file: ScoreFile, parts: Sequence[tuple[str, Sequence[Row]]]) -> None:
    """Scores what is not known yet, small parts first, and tells how far it is."""
    missing = [(name, row) for name, own in parts for row in own if file.known(row) is None]
    everything, total = sum(len(own) for _, own in parts), sum(len(row.text) + 100 for _, row in missing)
    print(f"{everything - len(missing)} of {everything} rows are scored already: {file.path}", file=sys.stderr)
    started = told = time.monotonic()
    done = 0
    for number, (name, row) in enumerate(missing, 1):
        file.score(row)
        done += len(row.text) + 100  # a text costs something however short it is
        now = time.monotonic()
        if now - told > _TOLD_EVERY or number == len(missing):
            left = (now - started) * (total - done) / done / 60
            print(
                f"{time.strftime('%H:%M:%S')} {number} of {len(missing)} rows, {done / total:.0%} of the text, "
                f"about {left:.0f} min left ({name})",
                file=sys.stderr,
                flush=True,
            )
            told = now


def _usable(file: ScoreFile, row: Row) -> WindowLogOdds | None:
    """What is found in a row that was scored and holds a token."""
    odds = file.known(row)
    return odds if odds and all(map(len, odds.values())) else None


def _key(row: Row) -> str:
    return hashlib.sha256(f"{row.channel} {row.text}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max(initial=0) <= _TOLERANCE)


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
