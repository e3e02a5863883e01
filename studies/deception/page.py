"""The study as one HTML file with its charts in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grid import ARCHITECTURES, CELLS, CONDITIONS
from reading import LAYERS
from table import claims, interval, order, signed
from texts import SETS

from alknet_firewall.evaluate.pages.html import Section, Table, page

_COLOURS = ("@attack", "@second", "@third", "@fourth", "@fifth", "@sixth")


def written(told: Mapping[str, Any]) -> str:
    """The page."""
    measured = told["measured"]
    raw = [measured[f"raw L{layer}"] for layer in LAYERS]
    lead = [
        "Statements, questions, dialogues and a small model's own answers, each set probed apart under cross-validation "
        "that divides no group; figures are means over the four sets, with 95 % intervals over groups.",
        *(line.removeprefix("- ") for line in claims(told)),
    ]
    by_layer = _chart(
        [_line("raw states", [one["auroc"]["mean"] for one in raw], "@benign")]
        + [
            _line(f"{of}, raw", [one["auroc"][of] for one in raw], colour, dash="dot", spread=False)
            for of, colour in zip(SETS, _COLOURS)
        ]
        + [_flat("words", measured["words"]["auroc"]["mean"][0])],
        "AUROC",
    )
    grid = _chart(
        [_line("raw states", [one["auroc"]["mean"] for one in raw], "@benign")]
        + [
            _line(
                f"{a}, {c.replace('_', ' ')}",
                [measured[cell.name]["auroc"]["mean"] for cell in CELLS if (cell.architecture, cell.condition) == (a, c)],
                _COLOURS[3 * i + j], spread=False, dash="solid" if i == 0 else "dash",
            )
            for i, a in enumerate(ARCHITECTURES)
            for j, c in enumerate(CONDITIONS)
        ],
        "AUROC",
    )  # fmt: skip
    rows: list[list[Any]] = [
        [
            cell.name, interval(measured[cell.name]["accuracy"]["mean"]), interval(measured[cell.name]["auroc"]["mean"]),
            f"{measured[cell.name]['p']:.3f}", signed(told["gains"][cell.name]["accuracy"]),
            signed(told["gains"][cell.name]["auroc"]),
        ]
        for cell in CELLS
    ]  # fmt: skip
    controls = _chart(
        [
            _line(name, [told["controls"][f"{name} L{layer}"]["auroc"]["mean"] for layer in LAYERS], colour, spread=False)
            for name, colour in zip(("swapped", "prompted", "instructed", "ungrouped"), _COLOURS)
        ],
        "AUROC",
    )
    transfer = Table(
        "AUROC on a set that took no part", ["", *SETS],
        [[name, *(interval(told["transfer"][name][of]) for of in SETS)] for name in sorted(told["transfer"], key=order)],
    )  # fmt: skip
    sections = [
        Section("Layers", ["A linear probe on raw states, and a bag of words on the same folds."], by_layer, "AUROC by layer"),
        Section(
            "54 autoencoders", ["Probes on their features, beside raw states of the same layer."], grid, "AUROC by layer",
            [Table("All 54", ["", "balanced accuracy", "AUROC", "p", "less raw, accuracy", "less raw, AUROC"], rows)],
        ),
        Section(
            "Controls",
            [
                "Swapped: questions with the answers of others, where nothing is true or false any more. Prompted: the "
                "model's answers behind their prompts. Instructed: true statements behind an instruction to be honest or "
                "dishonest. Ungrouped: folds that divide groups.",
            ],
            controls, "AUROC by layer",
        ),
        Section("Left out", ["Probes fitted to three sets, judged on the fourth."], tables=[transfer]),
    ]  # fmt: skip
    return page("Deception in SmolLM2-135M", lead, sections, "studies/deception/run.py")


def _chart(data: Sequence[Mapping[str, Any]], title: str) -> dict[str, Any]:
    axis = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False}
    return {
        "data": list(data),
        "layout": {
            "height": 440, "margin": {"l": 64, "r": 32, "t": 60, "b": 56}, "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)", "font": {"color": "@text", "family": "system-ui, sans-serif", "size": 13},
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}, "dragmode": False,
            "hoverlabel": {"bgcolor": "@panel", "bordercolor": "@line", "font": {"color": "@text"}},
            "xaxis": {**axis, "title": {"text": "layer, counted from 0"}, "tickvals": list(LAYERS)},
            "yaxis": {**axis, "title": {"text": title}},
        },
    }  # fmt: skip


def _line(name: str, figures: Sequence[Any], colour: str, *, spread: bool = True, dash: str = "solid") -> dict[str, Any]:
    line: dict[str, Any] = {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": list(LAYERS), "y": [f[0] for f in figures],
        "line": {"color": colour, "width": 2, "dash": dash},
    }  # fmt: skip
    if spread:
        line["error_y"] = {
            "type": "data", "symmetric": False, "array": [f[2] - f[0] for f in figures],
            "arrayminus": [f[0] - f[1] for f in figures], "color": colour, "thickness": 1,
        }  # fmt: skip
    return line


def _flat(name: str, value: float) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": [LAYERS[0], LAYERS[-1]], "y": [value, value],
        "line": {"color": "@quiet", "dash": "dash", "width": 2},
    }  # fmt: skip
