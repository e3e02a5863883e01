"""A codebook's description as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.described import RATES
from alknet_firewall.cli.render import percent, shortened, visible

_VALUE = 300  # characters of a note in the provenance


def tables(name: str, told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The parts of a description, from `described.described`, in reading order."""
    yield _facts(name, told)
    for behavior, parts in told["behaviors"].items():
        yield _directions(behavior, parts)
    yield _calibration(told)
    yield _provenance(told["provenance"])


def _facts(name: str, told: Mapping[str, Any]) -> Table:
    table = _pairs(name)
    window = told["window"]
    table.add_row("detector", visible(told["detector"]))
    table.add_row("fingerprint", told["fingerprint"][:12])
    table.add_row("reads", f"the output of block {', '.join(map(str, told['taps']))}")
    table.add_row("calibrated for", ", ".join(map(visible, told["precisions"])))
    table.add_row("windows", f"of {window['size']} tokens, {window['overlap']} shared with the one before")
    table.add_row(
        "decide together", ", ".join(map(visible, told["group"])) or "none: each behavior by itself"
    )
    return table


def _directions(name: str, behavior: Mapping[str, Any]) -> Table:
    words = f"{behavior['word_buckets']:,} n-grams" if behavior["word_buckets"] else "no words"
    title = f"behavior {visible(name)}: by default {behavior['default_action']}; {words}; bias {behavior['bias']:+.2f}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_edge=False)
    table.add_column("tap", justify="right")
    table.add_column("readout")
    table.add_column("weight", justify="right")
    table.add_column("separation", justify="right")
    for one in behavior["directions"]:
        tap = "" if one["tap"] is None else str(one["tap"])
        table.add_row(tap, visible(one["readout"]), f"{one['weight']:.3f}", f"{one['separation']:.3f}")
    return table


def _calibration(told: Mapping[str, Any]) -> Table:
    title = "log-odds that a share of benign text reaches"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_edge=False)
    table.add_column("behavior", no_wrap=True)
    table.add_column("channel", no_wrap=True)
    table.add_column("texts", justify="right", no_wrap=True)
    for rate in RATES:
        table.add_column(percent(rate).replace(".0", ""), justify="right", no_wrap=True)
    groups = {name: behavior["calibration"] for name, behavior in told["behaviors"].items()}
    for name, channels in {**groups, "together": told["combined"]}.items():
        for channel, one in channels.items():
            values = [one["log_odds_at"][str(rate)] for rate in RATES]
            shown = ["unknown" if value is None else f"{value:+.2f}" for value in values]
            table.add_row(visible(name), channel, f"{one['benign_texts']:,}", *shown)
        table.add_section()
    return table


def _provenance(provenance: Mapping[str, Any]) -> Table:
    table = _pairs("where it came from")
    for key, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(visible(key), Text(visible(shortened(text, _VALUE))))
    return table


def _pairs(title: str) -> Table:
    table = Table(
        title=visible(title), title_justify="left", title_style="bold", box=box.SIMPLE, show_edge=False
    )
    table.show_header = False
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
