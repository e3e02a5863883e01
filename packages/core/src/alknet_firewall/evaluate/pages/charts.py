"""The charts of the reports, in Plotly's form. Series differ in colour and in dash or sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alknet_firewall.evaluate.curves import BINS, Histogram
from alknet_firewall.evaluate.metrics import Estimate
from alknet_firewall.evaluate.pages.html import Chart, plain
from alknet_firewall.evaluate.reliability import Reliability

_COLOURS = ("@attack", "@benign", "@second", "@third", "@fourth", "@fifth", "@sixth")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_SIGNS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
_ROW = 26  # pixels of a row in a dot chart


@dataclass(frozen=True)
class Dots:
    """A series of a dot chart: an estimate, or none, for each row."""

    name: str
    estimates: Sequence[Estimate | None]
    colour: str
    sign: str = "circle"


def curves_chart(curves: Mapping[str, Mapping[float, Estimate]], thresholds: Sequence[float]) -> Chart:
    """Recall by rate of false alarms; the first curve has its interval as a band.

    Args:
        curves: By name, recall at each rate.
        thresholds: Rates that are marked.
    """
    data: list[dict[str, Any]] = []
    for number, (name, curve) in enumerate(curves.items()):
        rates = list(curve)
        if number == 0:
            band = [estimate.high for estimate in curve.values()]
            under = [estimate.low for estimate in curve.values()]
            data.append({
                "type": "scatter", "x": [*rates, *rates[::-1]], "y": [*band, *under[::-1]], "fill": "toself",
                "mode": "lines", "fillcolor": "@attack-band", "line": {"width": 0}, "hoverinfo": "skip",
                "showlegend": False, "name": "95 % interval",
            })  # fmt: skip
        data.append({
            "type": "scatter", "mode": "lines", "name": plain(name), "x": rates,
            "y": [estimate.value for estimate in curve.values()],
            "customdata": [[estimate.low, estimate.high] for estimate in curve.values()],
            "line": {"color": _pick(_COLOURS, number), "dash": _pick(_DASHES, number), "width": 2.2},
            "hovertemplate": "%{y:.1%} caught (%{customdata[0]:.1%}-%{customdata[1]:.1%})<br>"
                             "at %{x:.2%} false alarms",
        })  # fmt: skip
    layout = axes_layout(430)
    layout["xaxis"] |= _log_axis("false alarms: share of benign text that is flagged")
    layout["yaxis"] |= {"title": {"text": "attacks that are caught"}, "range": [0, 1.01], "tickformat": ".0%"}
    layout["shapes"] = [_vertical(rate) for rate in thresholds]
    return {"data": data, "layout": layout}


def dots_chart(rows: Sequence[str], series: Sequence[Dots], title: str) -> Chart:
    """Estimates with their intervals, a row each; the first row stands on top.

    Args:
        rows: Their names.
        series: Estimates, one for each row.
        title: Of the axis, which ends where the last interval does.
    """
    highest = max((e.high for one in series for e in one.estimates if e is not None), default=1.0)
    upto = min(1.0, max(0.1, 1.1 * highest))
    data = []
    for number, one in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * min(
            0.26, 0.8 / len(series)
        )  # beside each other, not on top
        known = [(i, estimate) for i, estimate in enumerate(one.estimates) if estimate is not None]
        data.append({
            "type": "scatter", "mode": "markers", "name": one.name,
            "x": [estimate.value for _, estimate in known], "y": [i + shift for i, _ in known],
            "text": [plain(rows[i]) for i, _ in known],
            "customdata": [[estimate.low, estimate.high] for _, estimate in known],
            "error_x": {
                "type": "data", "symmetric": False, "thickness": 1.3, "width": 0, "color": one.colour,
                "array": [estimate.high - estimate.value for _, estimate in known],
                "arrayminus": [estimate.value - estimate.low for _, estimate in known],
            },
            "marker": {"color": one.colour, "size": 8, "symbol": one.sign},
            "hovertemplate": "%{text}<br>%{x:.1%} (%{customdata[0]:.1%}-%{customdata[1]:.1%})",
        })  # fmt: skip
    layout = axes_layout(110 + max(_ROW, 8 * len(series)) * len(rows))
    layout["hovermode"] = "closest"
    layout["xaxis"] |= {"title": {"text": title}, "range": [-0.01 * upto, 1.01 * upto], "tickformat": ".0%"}
    layout["yaxis"] |= {
        "tickmode": "array", "tickvals": list(range(len(rows))), "ticktext": [plain(_short(row)) for row in rows],
        "range": [len(rows) - 0.4, -0.6], "automargin": True,
    }  # fmt: skip
    return {"data": data, "layout": layout}


def reliability_chart(channels: Sequence[Reliability]) -> Chart:
    """The share of benign text that is flagged, by the rate that was asked for; on the diagonal both are the same."""
    data: list[dict[str, Any]] = []
    lowest = 1e-4
    for number, one in enumerate(channels):
        estimates = list(one.observed.values())
        shown = [max(estimate.value, lowest) for estimate in estimates]
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": one.channel, "x": list(one.observed), "y": shown,
            "customdata": [[e.value, e.low, e.high] for e in estimates],
            "error_y": {
                "type": "data", "symmetric": False, "thickness": 1, "width": 2, "color": _pick(_COLOURS, number),
                "array": [max(e.high - y, 0) for e, y in zip(estimates, shown)],
                "arrayminus": [max(y - max(e.low, lowest), 0) for e, y in zip(estimates, shown)],
            },
            "line": {"color": _pick(_COLOURS, number), "dash": _pick(_DASHES, number), "width": 1.8},
            "marker": {"symbol": _pick(_SIGNS, number), "size": 7},
            "hovertemplate": "asked %{x:.1%}: came %{customdata[0]:.2%} "
                             "(%{customdata[1]:.2%}-%{customdata[2]:.2%})",
        })  # fmt: skip
    data.append({
        "type": "scatter", "mode": "lines", "name": "as it should be", "x": [1e-3, 1], "y": [1e-3, 1],
        "line": {"color": "@quiet", "width": 1.2, "dash": "dot"}, "hoverinfo": "skip",
    })  # fmt: skip
    layout = axes_layout(460)
    layout["xaxis"] |= _log_axis("false-alarm rate that was asked for")
    layout["yaxis"] |= _log_axis("benign text that was flagged") | {"range": [-4, 0.02]}
    return {"data": data, "layout": layout}


def histogram_chart(kinds: Sequence[Histogram], marks: Mapping[str, float]) -> Chart:
    """Where scores lie.

    Args:
        kinds: Benign text, and kinds of attack.
        marks: Scores that are marked, by what they are.
    """
    edges = [i / BINS for i in range(BINS + 1)]
    colours = {"benign": "@benign", "injection": "@attack", "jailbreak": "@second"}
    data = [
        {
            "type": "scatter", "mode": "lines", "name": one.kind, "x": edges, "y": [*one.shares, one.shares[-1]],
            "line": {
                "shape": "hv", "width": 2, "color": colours[one.kind],
                "dash": _pick(_DASHES, number),
            },
            "hovertemplate": "%{y:.1%} of the texts",
        }
        for number, one in enumerate(kinds)
    ]  # fmt: skip
    layout = axes_layout(380)
    layout["xaxis"] |= {"title": {"text": "score"}, "range": [0, 1]}
    layout["yaxis"] |= {"title": {"text": "share of the texts"}, "tickformat": ".0%", "rangemode": "tozero"}
    layout["shapes"] = [_vertical(score) for score in marks.values()]
    layout["annotations"] = [
        {"x": score, "y": 1, "yref": "paper", "text": name, "showarrow": False, "xanchor": "left", "xshift": 4,
         "font": {"color": "@quiet", "size": 12}}
        for name, score in marks.items()
    ]  # fmt: skip
    return {"data": data, "layout": layout}


def axes_layout(height: int) -> dict[str, Any]:
    """What all charts share: axes, colours, letters, legend."""
    axis = {"gridcolor": "@grid", "linecolor": "@line", "zeroline": False}
    return {
        "height": height, "margin": {"l": 64, "r": 32, "t": 36, "b": 56},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "family": "system-ui, sans-serif", "size": 13},
        "hoverlabel": {"bgcolor": "@panel", "bordercolor": "@line", "font": {"color": "@text"}},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"}, "showlegend": True,
        "hovermode": "x unified", "dragmode": False, "xaxis": dict(axis), "yaxis": dict(axis),
    }  # fmt: skip


def _log_axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title}, "type": "log", "range": [-3, 0.01], "tickmode": "array",
        "tickvals": [1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.5, 1],
        "ticktext": ["0", "0.1 %", "1 %", "5 %", "10 %", "50 %", "100 %"],
    }  # fmt: skip


def _vertical(x: float) -> dict[str, Any]:
    return {
        "type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": "@quiet", "width": 1, "dash": "dot"},
    }  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}\u2026"


def _pick(choices: Sequence[str], number: int) -> str:
    return choices[number % len(choices)]
