"""The study as Markdown: the sets, the 54 rows, the controls, and what each published claim comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grid import CELLS
from reading import LAYERS
from texts import SETS

PUBLISHED = {"accuracy": 0.69, "auroc": 0.725, "layer": 4, "best": 0.672, "raw at 21": 0.529, "above": 24}


def interval(figure: Any) -> str:
    """A figure with its interval."""
    value, low, high = figure
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def signed(figure: Any) -> str:
    """A difference with its interval."""
    value, low, high = figure
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def written(told: Mapping[str, Any]) -> str:
    """All tables."""
    measured = told["measured"]
    lines = ["| set | deception | honest | groups |", "| --- | ---: | ---: | ---: |"]
    for name in SETS:
        counts = told["texts"][name]
        lines.append(f"| {name} | {counts['deception']} | {counts['honest']} | {counts['groups']} |")
    lines += ["", "Layers, raw states, mean over tokens:", ""]
    lines += ["| | balanced accuracy | AUROC | p | " + " | ".join(SETS) + " | last token | SVD |"]
    lines += ["| --- " + "| ---: " * (5 + len(SETS)) + "|"]
    for name in ("words", "lengths", *(f"raw L{layer}" for layer in LAYERS)):
        own = measured[name]
        layer = name.removeprefix("raw ")
        others = [measured[f"{k} {layer}"]["auroc"]["mean"] for k in ("last", "svd")] if layer != name else []
        cells = [interval(own["accuracy"]["mean"]), interval(own["auroc"]["mean"]), _p(own["p"])]
        cells += [f"{own['auroc'][of][0]:.3f}" for of in SETS]
        cells += [f"{other[0]:.3f}" for other in others] or ["", ""]
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    lines += ["", "The 54:", "", "| | balanced accuracy | AUROC | p | less raw, accuracy | less raw, AUROC | explained | L0 |"]
    lines += ["| --- " + "| ---: " * 7 + "|"]
    for cell in CELLS:
        own, gain, quality = measured[cell.name], told["gains"][cell.name], told["quality"][cell.name]
        lines.append(
            f"| L{cell.layer} {cell.architecture} {cell.condition.replace('_', ' ')} | {interval(own['accuracy']['mean'])} | "
            f"{interval(own['auroc']['mean'])} | {_p(own['p'])} | {signed(gain['accuracy'])} | {signed(gain['auroc'])} | "
            f"{quality['explained']:.2f} | {quality['active']:.0f} |"
        )
    lines += ["", "Controls, AUROC of raw states:", "", "| | words | " + " | ".join(f"L{layer}" for layer in LAYERS) + " |"]
    lines += ["| --- " + "| ---: " * (1 + len(LAYERS)) + "|"]
    for name, words in (
        ("swapped", told["controls"]["swapped words"]), ("prompted", told["controls"]["prompted words"]),
        ("instructed", told["controls"]["instructed words"]), ("ungrouped", None),
    ):  # fmt: skip
        values = [told["controls"][f"{name} L{layer}"]["auroc"]["mean"][0] for layer in LAYERS]
        first = f"{words['auroc']['mean'][0]:.3f}" if words else ""
        lines.append(f"| {name} | {first} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    lines += ["", "AUROC on a set that was left out:", "", "| | " + " | ".join(SETS) + " | mean |"]
    lines += ["| --- " + "| ---: " * (1 + len(SETS)) + "|"]
    for name in sorted(told["transfer"], key=order):
        own = told["transfer"][name]
        mean = sum(own[of][0] for of in SETS) / len(SETS)
        lines.append(f"| {name} | " + " | ".join(interval(own[of]) for of in SETS) + f" | {mean:.3f} |")
    return "\n".join([*lines, "", *claims(told), ""])


def claims(told: Mapping[str, Any]) -> list[str]:
    """The figures that each published claim is held against."""
    measured = told["measured"]
    raw = {layer: measured[f"raw L{layer}"] for layer in LAYERS}
    best = max(LAYERS, key=lambda layer: raw[layer]["accuracy"]["mean"][0])
    top = max(CELLS, key=lambda cell: measured[cell.name]["accuracy"]["mean"][0])
    named = measured["smollm2_topk_L21_deceptive_only"]
    gains = [told["gains"][cell.name] for cell in CELLS]
    share = told["peak"]["accuracy"]
    return [
        f"- peak: layer {best} at {interval(raw[best]['accuracy']['mean'])}; layer 4 {interval(raw[4]['accuracy']['mean'])}, "
        f"AUROC {interval(raw[4]['auroc']['mean'])}; layer 4 is the best in {share['4']:.0%} of the draws, layer {best} in "
        f"{share[str(best)]:.0%} (published: layer 4, {PUBLISHED['accuracy']}, AUROC {PUBLISHED['auroc']})",
        f"- best autoencoder: {top.name} at {interval(measured[top.name]['accuracy']['mean'])} (published: topk, layer 21, "
        f"deceptive only, {PUBLISHED['best']}); that one here {interval(named['accuracy']['mean'])}",
        f"- layer 21: raw {interval(raw[21]['accuracy']['mean'])}, topk deceptive only less raw "
        f"{signed(told['gains']['smollm2_topk_L21_deceptive_only']['accuracy'])} (published: {PUBLISHED['raw at 21']}, +0.143)",
        f"- above raw: {sum(g['accuracy'][0] > 0 for g in gains)} of 54 in balanced accuracy, "
        f"{sum(g['auroc'][0] > 0 for g in gains)} in AUROC; with an interval above 0: "
        f"{sum(g['accuracy'][1] > 0 for g in gains)} and {sum(g['auroc'][1] > 0 for g in gains)}, below 0: "
        f"{sum(g['accuracy'][2] < 0 for g in gains)} and {sum(g['auroc'][2] < 0 for g in gains)} (published: 24 of 54)",
    ]


def order(name: str) -> tuple[int, int]:
    """Words, means over tokens, last tokens, autoencoders; by layer."""
    kind, _, layer = name.partition(" L")
    return ["words", "raw", "last"].index(kind) if kind in ("words", "raw", "last") else 3, int(layer or 0)


def _p(value: float) -> str:
    return "" if value != value else f"{value:.4f}"
