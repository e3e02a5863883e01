"""The behavior `deception` on sources that were left out, beside a bag of words on the same split, and what it costs.

    python studies/deception/behavior.py DATA... --folder FOLDER [--seeds N] [--sae NAME] [--threads N]

FOLDER is that of run.py, which has to be done. Prints Markdown tables. `NAME` is an autoencoder of the study, by default
the best. Statements, lie detector, TruthfulQA and the model's own answers are the sources; each half is judged by fits
to the other half.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import texts
from measures import word_scores

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.codebook.codebook import bundled_codebook
from alknet_firewall.compile.evidence import HeldOut
from alknet_firewall.compile.rows import Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.detector.detector import load_detector
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.plugins import load_plugins
from alknet_firewall.sae import SAE
from alknet_firewall.sae.behavior import beside, compile_deception
from alknet_firewall.sae.left_out import left_out

ROWS = 400  # of a source and label


def rows_of(every: list[texts.Text]) -> Iterator[Row]:
    """The study's texts as rows."""
    for text in every:
        yield Row(text.text, "deception" if text.deceptive else "honest", text.source, "response", text.group)


def words_of(held_out: HeldOut) -> HeldOut:
    """The same rows and folds, judged by a bag of words."""
    spoken = [row.text for row in held_out.rows]
    lies = np.array([row.label == "deception" for row in held_out.rows], np.int64)
    scores = np.zeros((len(spoken), 1))
    for fold in np.unique(held_out.fold).tolist():
        train, test = np.flatnonzero(held_out.fold != fold), np.flatnonzero(held_out.fold == fold)
        scores[test, 0] = word_scores([spoken[i] for i in train], lies[train], [spoken[i] for i in test])
    return replace(held_out, log_odds=scores)


def cost(folder: Path, made: Path, threads: int) -> None:
    """Milliseconds of a text of 64 tokens with the bundled codebook, and with `deception` in the same pass."""
    without = Firewall(FirewallConfig(threads=threads))
    both = Firewall(
        FirewallConfig(codebook=made, behaviors={"deception": {"action": "inform"}}, threads=threads)
    )
    spoken = ["The committee met on Monday to speak about the budget of the coming year. " * 4 + f"{i}" for i in range(300)]
    taken: dict[int, list[float]] = {0: [], 1: []}
    for i, text in enumerate(spoken):
        for which in (0, 1) if i % 2 else (1, 0):
            start = time.perf_counter()
            (without, both)[which].screen(text, "response")
            taken[which].append(time.perf_counter() - start)
    medians = [float(np.median(taken[which][20:])) * 1e3 for which in (0, 1)]
    ratios = np.array(taken[1][20:]) / np.array(taken[0][20:])
    print(f"\n{medians[0]:.2f} ms without, {medians[1]:.2f} ms with it; median ratio of pairs {np.median(ratios):.3f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", nargs="+", type=Path)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--sae")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    study = options.folder / "study.json"
    name = options.sae or json.loads(study.read_text(encoding="utf-8"))["best"]
    sae = SAE.load(options.folder / "saes" / name)
    rows = list(rows_of(texts.all_texts(options.data, texts.said_by_model(options.folder / "completions", options.seeds))))
    base, plugins = bundled_codebook(), load_plugins()
    plain = CompileSettings(
        taps=base.taps[:1], basis="linear", readouts=("last",), rows_per_source=ROWS, composed={}, folds=2, words=False,
        window=base.window,
    )  # fmt: skip
    heads = replace(plain, basis="learned", readouts=("template_end", "mean"))
    features = replace(plain, taps=(sae.config.tap,), basis="sae", directions=32)
    kinds = {
        "linear, last token, tap 8": plain,
        "linear, last token, tap 16": replace(plain, taps=(16,)),
        "linear, last token, tap 19": replace(plain, taps=(19,)),
        "linear, last token, tap 19, and words": replace(plain, taps=(19,), words=True),
        "heads, tap 8": heads,
        "heads, tap 16": replace(heads, taps=(16,)),
        f"32 features of {name}": features,
        f"32 features of {name}, and words": replace(features, words=True),
    }
    told = {}
    for kind, settings in kinds.items():
        taps = base.taps if settings.taps == plain.taps else settings.taps
        detector = load_detector(
            open_weights(), taps, plugins.backends, threads=options.threads, allowed_precisions=base.precisions,
            max_length=settings.window.size + 64,
        )  # fmt: skip
        codebook, held_out = compile_deception(
            rows, detector, settings, options.folder / "windows", saes=[sae] if settings.basis == "sae" else []
        )
        told[kind] = left_out(held_out)
        if settings == plain:
            made = options.folder / "beside.safetensors"
            made.write_bytes(beside(base, codebook).to_bytes())
            told["bag of words, same split"] = left_out(words_of(held_out))
    sources = list(next(iter(told.values())))
    print("| | " + " | ".join(sources) + " | mean |\n| --- " + "| ---: " * (len(sources) + 1) + "|")
    for kind, own in told.items():
        cells = [f"{own[source][0]:.3f} ({own[source][1]:.3f} to {own[source][2]:.3f})" for source in sources]
        print(f"| {kind} | " + " | ".join(cells) + f" | {np.mean([own[source][0] for source in sources]):.3f} |")
    cost(options.folder, made, options.threads)


if __name__ == "__main__":
    main()
