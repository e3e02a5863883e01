"""A codebook's description as tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.described import RATES
from alknet_firewall.cli.render import shortened, visible

_VALUE = 300  # characters of a note in the provenance


def tables(name: str, told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The parts of a description, from `described.described`, in reading order."""
    yield _facts(name, told)
    for behavior, parts in told["behaviors"].items():
        yield _directions(behavior, parts)
    yield _calibration(told)
    yield _provenance(told["provenance"])


def _facts(name: str, told: Mapping[str, Any]) -> RenderableType:
    table = _pairs()
    window = told["window"]
    table.add_row("detector", visible(told["detector"]))
    table.add_row("fingerprint", visible(told["fingerprint"][:12]))
    table.add_row("reads", f"the output of block {' and '.join(map(str, told['taps']))}")
    table.add_row("calibrated for", ", ".join(map(visible, told["precisions"])))
    table.add_row("windows", f"of {window['size']} tokens, {window['overlap']} shared with the one before")
    table.add_row("decide together", ", ".join(map(visible, told["group"])) or "none: each by itself")
    return _titled(name, table)


def _directions(name: str, behavior: Mapping[str, Any]) -> RenderableType:
    words = f"{behavior['word_buckets']:,} n-grams" if behavior["word_buckets"] else "no words"
    table = Table(box=box.SIMPLE, show_edge=False)
    table.add_column("tap", justify="right")
    table.add_column("readout")
    table.add_column("weight", justify="right")
    table.add_column("separation", justify="right")
    for one in behavior["directions"]:
        tap = "" if one["tap"] is None else str(one["tap"])
        table.add_row(tap, visible(one["readout"]), f"{one['weight']:.3f}", f"{one['separation']:.3f}")
    title = f"behavior {name}: by default {behavior['default_action']}; {words}; bias {behavior['bias']:+.2f}"
    note = Text("separation: AUROC of the direction by itself, on what it was fitted to", "dim")
    return _titled(title, table, note)


def _calibration(told: Mapping[str, Any]) -> RenderableType:
    table = Table(box=box.SIMPLE, show_edge=False)
    table.add_column("behavior", no_wrap=True)
    table.add_column("channel", no_wrap=True)
    table.add_column("texts", justify="right", no_wrap=True)
    for rate in RATES:
        table.add_column(f"{100 * rate:g} %", justify="right", no_wrap=True)
    groups = {name: behavior["calibration"] for name, behavior in told["behaviors"].items()}
    for name, channels in {**groups, "together": told["combined"]}.items():
        for channel, one in channels.items():
            values = [one["log_odds_at"][str(rate)] for rate in RATES]
            shown = ["unknown" if value is None else f"{value:+.2f}" for value in values]
            table.add_row(visible(name), channel, f"{one['benign_texts']:,}", *shown)
        table.add_section()
    return _titled("log-odds that a share of benign windows reaches", table)


def _provenance(provenance: Mapping[str, Any]) -> RenderableType:
    table = _pairs()
    for key, value in provenance.items():
        told = _counts(value) if key == "rows" else None
        text = told or (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        table.add_row(visible(key), Text(visible(shortened(text, _VALUE))))
    return _titled("where it came from (all of it with --json)", table)


def _counts(rows: Any) -> str | None:
    """Counts by source and label, added up over sources; None if it is something else."""
    if not isinstance(rows, Mapping) or not all(isinstance(counts, Mapping) for counts in rows.values()):
        return None
    total: Counter[str] = Counter()
    for counts in rows.values():
        total.update({label: count for label, count in counts.items() if isinstance(count, int)})
    return f"{len(rows)} sources: " + ", ".join(
        f"{count:,} {label}" for label, count in sorted(total.items())
    )


def _titled(title: str, *parts: RenderableType) -> Group:
    return Group(Text(visible(title), "bold"), *parts, "")


def _pairs() -> Table:
    table = Table.grid(padding=(0, 2, 0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
