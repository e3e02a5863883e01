"""Several detectors side by side, as tables that fit into 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.render import percent
from alknet_firewall.cli.reports import interval, rate_in_percent, source_name
from alknet_firewall.evaluate.compare import Comparison
from alknet_firewall.evaluate.sources import ALL_ATTACKS, RATES

_STRICT, *_USUAL = RATES


def comparison_table(found: Comparison) -> RenderableType:
    """A detector a row, for all attacks and for each kind: ranking, recall, what it flags, its time a text."""
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("", min_width=16)
    headings = ["AUROC", rate_in_percent(_STRICT), *(f"recall {rate_in_percent(rate)}" for rate in _USUAL)]
    for heading in (*headings, "flag", "alarms", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for mean in (ALL_ATTACKS, *(mean for mean in found.detectors[0].rankings if mean != ALL_ATTACKS)):
        table.add_row(Text("all attacks" if mean == ALL_ATTACKS else mean, "bold"))
        for one in found.detectors:
            ranking = one.rankings[mean]
            table.add_row(
                source_name(one.name),
                interval(ranking.auroc),
                f"{ranking.recall[_STRICT].value:.2f}",
                *(interval(ranking.recall[rate]) for rate in _USUAL),
                percent(one.flagged[mean].value) if one.flagged else "-",
                percent(one.false_alarms.value) if one.false_alarms else "-",
                milliseconds(one.seconds),
            )
        table.add_section()
    return table


def sources_table(found: Comparison) -> RenderableType:
    """Recall at 1 % by attack source: a row a source, a column a detector."""
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("recall at 1 %", min_width=17)
    for one in found.detectors:
        table.add_column(source_name(one.name), justify="right", min_width=5, max_width=16)
    for number, (cell, _) in enumerate(found.detectors[0].sources):
        values = [one.sources[number][1].recall[0.01].value for one in found.detectors]
        best = max(values)
        table.add_row(
            source_name(" ".join(cell)),
            *(Text(f"{value:.2f}", "bold" if value == best else "") for value in values),
        )
    return Group(table, "")


def comparison_notes(found: Comparison) -> Text:
    """What the tables mean, and how far ours is ahead."""
    lines = [
        f"{found.rows:,} texts, {found.benign:,} of them benign; {found.attack_sources} attack and "
        f"{found.benign_sources} benign sources, each weighing the same.",
        "Recall: each detector at its own threshold for that share of the benign text here.",
        "Flag, alarms: attacks and benign text flagged at the detector's own threshold, where it has one.",
        "ms: wall-clock time a text on this machine, in batches. Small: 95 % intervals over sources.",
    ]
    for one in found.detectors[1:]:
        lead = one.lead[ALL_ATTACKS].recall[0.01]
        lines.append(
            f"Ahead of {one.name} in recall at 1 %, drawn together: {lead.value:+.2f} "
            f"({lead.low:+.2f} to {lead.high:+.2f})."
        )
    return Text("\n".join(lines), "dim")


def milliseconds(seconds: float) -> str:
    """A time of a text: `0.21`, `4.3`, `128`."""
    value = 1000 * seconds
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
