"""Fits that sources were left out of, kept on disk: each is made once, however often the study that uses it is run."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from alknet_firewall.codebook.lexical import folded_ids
from alknet_firewall.compile.corpus import Corpus, choose_rows, cut_rows
from alknet_firewall.compile.evidence import OutOfFold, out_of_fold
from alknet_firewall.compile.features import Features, make_features
from alknet_firewall.compile.folds import COMPOSED, fold_of_sources
from alknet_firewall.compile.generators import composed_rows
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.states import StateStore
from alknet_firewall.detector.cache import write_atomically
from alknet_firewall.detector.detector import Detector

_TOLD_EVERY = 20.0  # s
_UNUSED = "deception"  # a label that no fit looks at


@dataclass(frozen=True)
class Fit:
    """A way to fit.

    Attributes:
        name: What it is called on the command line.
        changes: Of the settings.
        kept: Which rows the fit may learn from; their words and states still count as seen text.
        ends: Whether learned heads have the state at the template's end beside them.
    """

    name: str
    changes: Mapping[str, object]
    kept: Callable[[Row], bool] = lambda row: True
    ends: bool = True

    def settings(self, settings: CompileSettings) -> CompileSettings:
        return replace(settings, **self.changes)  # type: ignore[arg-type]


def is_real(row: Row) -> bool:
    """True if a row was not composed."""
    return not row.source.startswith(COMPOSED)


def is_no_partner(row: Row) -> bool:
    """True if a row is no benign one that was composed."""
    return is_real(row) or row.label not in BENIGN_LABELS


class Telling:
    """Progress in lines, one every while: for a log, and for a run at lowest priority."""

    def __init__(self) -> None:
        self._last, self._stage = 0.0, ""

    def __call__(self, stage: str, share: float) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._last > _TOLD_EVERY or share >= 1:
            self._last, self._stage = now, stage
            print(f"{time.strftime('%H:%M:%S')} {stage} {share:.0%}", file=sys.stderr, flush=True)


class Fits:
    """All fits to the same rows; states and features are made ready when the first one is missing."""

    def __init__(
        self, rows: Sequence[Row], detector: Detector, settings: CompileSettings, states: Path, folder: Path
    ) -> None:
        """Chooses, composes and cuts rows; takes hidden states from `states`, keeps fits in `folder`."""
        self.told = Telling()
        self.settings = settings
        self._detector, self._states, self._folder = detector, states, folder
        self.told("choosing, composing and cutting rows", 0)
        wanted = (*BENIGN_LABELS, *ATTACK_LABELS, "harmful")
        chosen = choose_rows([row for row in rows if row.label in wanted], settings)
        composed = composed_rows(rows, settings.composed, settings.seed) if settings.composed else []
        self.corpus = cut_rows([*chosen, *composed], detector.tokenizer, settings)
        seen = hashlib.sha256(f"{detector.fingerprint} {detector.model.precision}".encode())
        for row, ids in zip(self.corpus.row.tolist(), self.corpus.ids):
            own = self.corpus.rows[row]
            seen.update(f"{own.source} {own.label} {own.channel} {own.borrowed} {len(ids)} ".encode() + ids.tobytes())
        self._seen = seen.hexdigest()

    def path(self, fit: Fit) -> Path:
        """Where a fit is kept."""
        described = json.dumps([self._seen, fit.name, asdict(fit.settings(self.settings))], sort_keys=True)
        return self._folder / f"fit-{fit.name}-{hashlib.sha256(described.encode()).hexdigest()[:16]}.npz"

    def get(self, fit: Fit) -> OutOfFold:
        """The evidence of a fit on all rows, made unless it is there."""
        path = self.path(fit)
        corpus = self._corpus_of(fit)
        if not path.is_file():
            found = self._made(fit, corpus)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part.npz")
            np.savez(unfinished, rows=found.rows, fold=found.fold, classes=found.classes, evidence=found.evidence)
            unfinished.replace(path)
        with np.load(path) as kept:
            return OutOfFold(corpus, kept["rows"], kept["fold"], kept["classes"], kept["evidence"])

    def _corpus_of(self, fit: Fit) -> Corpus:
        rows = [row if fit.kept(row) else replace(row, label=_UNUSED) for row in self.corpus.rows]
        return replace(self.corpus, rows=rows)

    def _made(self, fit: Fit, corpus: Corpus) -> OutOfFold:
        features = self._features
        if not fit.ends:
            taps = {
                tap: replace(own, tokens=replace(own.tokens, end=torch.zeros_like(own.tokens.end)))
                for tap, own in features.taps.items()
            }
            features = replace(features, taps=taps)
        settings = fit.settings(self.settings)
        return out_of_fold(
            corpus, fold_of_sources(corpus, settings), features, ATTACK_LABELS, BENIGN_LABELS, settings,
            lambda stage, share: self.told(f"{fit.name}: {stage}", share),
        )  # fmt: skip

    @cached_property
    def _features(self) -> Features:
        store = StateStore(self._detector, self.corpus.ids, self._states)
        store.compute(lambda done, total: self.told("hidden states", done / total))
        self.told("reading states", 0)
        folded = folded_ids(self._detector.tokenizer.vocabulary)
        return make_features(self.corpus, store, folded, self.settings)


class Results:
    """Figures by name, one a line at the end of a file."""

    def __init__(self, path: Path) -> None:
        """Reads what is there."""
        self._path = path
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        self._known = {json.loads(line)["name"]: json.loads(line)["figures"] for line in lines[:-1]}
        if lines and lines[-1]:  # a line that was not finished
            write_atomically(path, "".join(f"{line}\n" for line in lines[:-1]).encode())

    def get(self, name: str, make: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The figures of that name, made unless they are there."""
        if name not in self._known:
            self._known[name] = make()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, "figures": self._known[name]}) + "\n")
        return dict(self._known[name])
