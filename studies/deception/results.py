"""Measures everything, answers each published claim, and writes the page, the table and the figures."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grid
import numpy as np
import page
import table
from measures import Measured, Sets, difference, lengths, word_scores
from probing import Labelled, auroc, fitted
from reading import LAYERS, Tokens
from sampling import Completion
from texts import SETS, Text

SVD = 64  # directions, as many as a topk autoencoder may use at once


def write(
    folder: Path, lists: Mapping[str, Sequence[Text]], tokens: Mapping[str, Tokens], said: Sequence[Completion]
) -> None:
    """Measures, and writes `study.json`, `study.md` and `study.html`; what was measured is kept beside them."""
    probed = lists["texts"]
    sets = Sets(probed)
    kept = folder / "measured"
    measured = {
        "words": _kept(kept / "words", sets.words),
        "lengths": _kept(kept / "lengths", lambda: sets.measure(lengths(probed))),
    }
    for layer in LAYERS:
        measured |= measure_layer(layer, kept, sets, tokens, folder / "saes")
    controls = measure_controls(kept, lists, tokens)
    best = max(grid.CELLS, key=lambda cell: measured[cell.name].auroc["mean"][0])
    transfer = _transfer(probed, tokens["texts"], folder / "saes", best)
    told: dict[str, Any] = {
        "texts": {name: _counts([text for text in probed if text.of == name]) for name in SETS},
        "training": {"texts": len(lists["training"]), "tokens": int(tokens["training"].start[-1])},
        "answers": _answers(said),
        "measured": {name: one.told() for name, one in measured.items()},
        "gains": {cell.name: _gains(measured, cell) for cell in grid.CELLS},
        "peak": _peak(measured),
        "controls": {name: one.told() for name, one in controls.items()},
        "transfer": transfer,
        "best": best.name,
        "quality": {cell.name: _quality(folder / "saes", cell, tokens["texts"]) for cell in grid.CELLS},
    }
    (folder / "study.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    (folder / "study.md").write_text(table.written(told), encoding="utf-8")
    (folder / "study.html").write_text(page.written(told), encoding="utf-8")
    print(table.written(told))


def measure_layer(
    layer: int, kept: Path, sets: Sets, tokens: Mapping[str, Tokens], saes: Path
) -> dict[str, Measured]:
    """Raw states, SVD directions and the features of 6 autoencoders at a layer."""
    states = functools.cache(lambda: tokens["texts"].layer(layer))
    own = tokens["texts"]
    features: dict[str, Callable[[], Any]] = {
        f"raw L{layer}": lambda: own.means(states()),
        f"last L{layer}": lambda: own.last(states()),
        f"svd L{layer}": lambda: own.means(states() @ _svd(tokens["training"].layer(layer))),
    }
    for cell in grid.CELLS:
        if cell.layer == layer:
            features[cell.name] = lambda cell=cell: encoded(cell, saes, own, states())  # type: ignore[misc]
    return {
        name: _kept(kept / name, lambda make=make: sets.measure(make()))  # type: ignore[misc]
        for name, make in features.items()
    }


def encoded(cell: grid.Cell, saes: Path, tokens: Tokens, states: Any) -> Any:
    """The mean of each feature over each text's tokens, (n, d_sae)."""
    sae = grid.load(cell, saes)
    parts = []
    for first in range(0, len(tokens.start) - 1, 64):
        bounds = tokens.start[first : first + 65]
        codes = sae.encode(states[bounds[0] : bounds[-1]])
        sums = np.add.reduceat(codes, bounds[:-1] - bounds[0], axis=0)
        parts.append(sums / np.diff(bounds)[:, None].astype(np.float32))
    return np.concatenate(parts)


def _svd(states: Any) -> Any:
    """The directions of most variance of the training texts' states, (hidden, `SVD`)."""
    sample = states[np.random.default_rng(0).integers(len(states), size=min(len(states), 20_000))]
    _, vectors = np.linalg.eigh(np.cov(sample.T.astype(np.float64)))
    return vectors[:, ::-1][:, :SVD].astype(np.float32)


def measure_controls(
    kept: Path, lists: Mapping[str, Sequence[Text]], tokens: Mapping[str, Tokens]
) -> dict[str, Measured]:
    """What else could be read: answers apart from their questions, instructions, prompts; and folds that divide groups."""
    found: dict[str, Measured] = {}
    alone = [replace(text, group=f"{i}") for i, text in enumerate(lists["texts"])]
    sets = {name: Sets(lists[name]) for name in ("swapped", "instructed", "prompted")}
    sets["ungrouped"] = Sets(alone)
    for name, own in sets.items():
        read = tokens["texts" if name == "ungrouped" else name]
        if name != "ungrouped":
            found[f"{name} words"] = _kept(kept / f"{name} words", own.words)
        for layer in LAYERS:
            key = f"{name} L{layer}"
            found[key] = _kept(
                kept / key,
                lambda own=own, read=read, at=layer: own.measure(read.means(read.layer(at))),  # type: ignore[misc]
            )
    return found


def _transfer(texts: Sequence[Text], tokens: Tokens, saes: Path, best: grid.Cell) -> dict[str, Any]:
    """AUROC on each set of probes that were fitted to the three others."""
    of = np.array([text.of for text in texts])
    label = np.array([text.deceptive for text in texts], np.int64)
    features: dict[str, Any] = {}
    for layer in LAYERS:
        states = tokens.layer(layer)
        features |= {f"raw L{layer}": tokens.means(states), f"last L{layer}": tokens.last(states)}
    features[best.name] = encoded(best, saes, tokens, tokens.layer(best.layer))
    found: dict[str, Any] = {name: {} for name in (*features, "words")}
    for name in SETS:
        train, test = np.flatnonzero(of != name), np.flatnonzero(of == name)
        own = Labelled.of(label[test].astype(bool).tolist(), [texts[i].group for i in test])
        draws = own.resampled(500)
        spoken = [text.text for text in texts]
        for key in found:
            if key == "words":
                score = word_scores([spoken[i] for i in train], label[train], [spoken[i] for i in test])
            else:
                values = features[key].copy()
                for other in SETS:  # what tells the sets apart must not be learnt
                    values[of == other] -= values[of == other].mean(0)
                score = fitted(values[train], label[train][None], values[test])[0]
            spread = np.quantile([auroc(score[d], own.label[d]) for d in draws], [0.025, 0.975])
            found[key][name] = [auroc(score, own.label), *spread.tolist()]
    return found


def _gains(measured: Mapping[str, Measured], cell: grid.Cell) -> dict[str, Any]:
    raw = measured[f"raw L{cell.layer}"]
    return {
        "auroc": difference(measured[cell.name], raw, 0),
        "accuracy": difference(measured[cell.name], raw, 1),
    }


def _peak(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """In which share of the bootstrap draws each layer is the best, raw states."""
    told = {}
    for which, name in enumerate(("auroc", "accuracy")):
        draws = np.stack([measured[f"raw L{layer}"].draws[which] for layer in LAYERS])
        shares = np.bincount(draws.argmax(0), minlength=len(LAYERS)) / draws.shape[1]
        told[name] = dict(zip(map(str, LAYERS), shares.tolist()))
    return told


def _quality(saes: Path, cell: grid.Cell, tokens: Tokens) -> dict[str, float]:
    quality = grid.load(cell, saes).quality(tokens.layer(cell.layer)[:4000])
    return {"explained": quality.explained, "active": quality.active, "dead": quality.dead}


def _counts(texts: Sequence[Text]) -> dict[str, int]:
    lies = sum(text.deceptive for text in texts)
    return {"deception": lies, "honest": len(texts) - lies, "groups": len({text.group for text in texts})}


def _answers(said: Sequence[Completion]) -> dict[str, int]:
    return {
        "all": len(said),
        "honest": sum(one.label == "honest" for one in said),
        "deception": sum(one.label == "deception" for one in said),
        "right under deceptive prompts": sum(one.deceptive and one.right for one in said),
        "wrong under honest prompts": sum(not one.deceptive and not one.right for one in said),
    }


def _kept(path: Path, make: Callable[[], Measured]) -> Measured:
    """What was measured before, or is now and kept."""
    file = path.with_name(f"{path.name}.npz")
    if not file.is_file():
        one = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part.npz")
        np.savez(partial, draws=one.draws, told=np.frombuffer(json.dumps(one.told()).encode(), np.uint8))
        partial.rename(file)
        value, low, high = one.auroc["mean"]
        print(f"{path.name}: AUROC {value:.3f} ({low:.3f} to {high:.3f}), p {one.p:.4f}", flush=True)
    with np.load(file) as stored:
        told = json.loads(stored["told"].tobytes())
        auc, accuracy = ({n: tuple(v) for n, v in told[key].items()} for key in ("auroc", "accuracy"))
        return Measured(auc, accuracy, told["p"], stored["draws"])
