"""The charts of a day, in Plotly's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alknet_firewall.evaluate.pages.charts import axes_layout, reliability_chart
from alknet_firewall.evaluate.pages.html import Chart, plain
from alknet_firewall.evaluate.reliability import Reliability

_ACTIONS = {"block": ("@attack", "x"), "review": ("@second", "/"), "allow": ("@benign", "")}
"""From the bottom up: those that matter stand on the axis, where their heights can be compared."""
_COLOURS = (
    "@attack",
    "@benign",
    "@second",
    "@third",
)  # of channels, as lines have them in `reliability_chart`
_PATTERNS = ("", "/", "x", ".")


def volumes_chart(volumes: Mapping[datetime, Mapping[str, int]], step: int) -> Chart:
    """Verdicts over time, a bar for each step, one part of it for each action."""
    times = [time.strftime("%Y-%m-%d %H:%M") for time in volumes]
    data = [
        {
            "type": "bar", "name": action, "x": times, "y": [counts[action] for counts in volumes.values()],
            "marker": _filled(colour, pattern),
            "width": [step * 1000 * 0.92] * len(times), "offset": 0,
            "hovertemplate": "%{y:,} %{fullData.name}<extra></extra>",
        }
        for action, (colour, pattern) in _ACTIONS.items()
    ]  # fmt: skip
    layout = axes_layout(340)
    layout |= {"barmode": "stack"}
    layout["xaxis"] |= {"type": "date", "title": {"text": "time (UTC)"}}
    layout["yaxis"] |= {"title": {"text": "verdicts"}, "rangemode": "tozero", "tickformat": ",d"}
    return {"data": data, "layout": layout}


def alarms_chart(alarms: Mapping[str, Mapping[str, int]]) -> Chart:
    """Alarms by behavior and channel: `alarms` has behaviors by channel."""
    behaviors = list(dict.fromkeys(name for counts in alarms.values() for name in counts))
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "orientation": "h", "name": channel, "y": [plain(name) for name in behaviors],
            "x": [counts.get(name, 0) for name in behaviors],
            "marker": _filled(_COLOURS[number], _PATTERNS[number]),
            "hovertemplate": "%{x:,} of channel %{fullData.name}<extra></extra>",
        }
        for number, (channel, counts) in enumerate(alarms.items())
    ]  # fmt: skip
    layout = axes_layout(130 + 46 * len(behaviors))
    layout |= {"barmode": "stack", "hovermode": "closest"}
    layout["xaxis"] |= {
        "title": {"text": "verdicts with this alarm"},
        "rangemode": "tozero",
        "tickformat": ",d",
    }
    layout["yaxis"] |= {"autorange": "reversed", "automargin": True}
    return {"data": data, "layout": layout}


def calibration_chart(channels: Sequence[Reliability]) -> Chart:
    """The share of texts that reach each rate of the calibration; on the diagonal traffic is as it was then."""
    chart = reliability_chart(channels)
    layout = {**chart["layout"]}
    layout["xaxis"] = {**layout["xaxis"], "title": {"text": "share of calibration text"}}
    layout["yaxis"] = {**layout["yaxis"], "title": {"text": "share of these texts"}}
    data = [
        {**one, "name": "as calibrated"} if one["name"] == "as it should be" else one for one in chart["data"]
    ]
    return {"data": data, "layout": layout}


def _filled(colour: str, pattern: str) -> dict[str, Any]:
    """A colour with a pattern on it, for those who cannot tell the colours apart."""
    return {
        "color": colour,
        "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "@back", "size": 6},
    }
