"""The figures of an evaluation as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.render import excerpt, percent, visible
from alknet_firewall.evaluate.metrics import Estimate
from alknet_firewall.evaluate.report import RATES, AttackFigures, Report, ScoredRow, worst

_EXCERPT = 160


def attack_table(report: Report) -> RenderableType:
    """By source and label of attacks: ranking, recall, what the firewall does; means; what is apart."""
    if not report.attacks and not report.apart:
        return Text("no attacks among the rows: only false alarms can be told")
    table = _table("attacks")
    table.add_column("AUROC", justify="right", no_wrap=True)
    for rate in RATES:
        table.add_column(f"recall at {rate:.0%}", justify="right", no_wrap=True)
    table.add_column("flagged", justify="right", no_wrap=True)
    table.add_column("blocked", justify="right", no_wrap=True)
    for group in (report.attacks, report.averages, report.apart):
        for figures in group:
            _add_attack(table, figures, bold=group is report.averages)
        table.add_section()
    return table


def _add_attack(table: Table, figures: AttackFigures, *, bold: bool) -> None:
    table.add_row(
        visible(figures.source),
        figures.label,
        f"{figures.n:,}",
        _interval(figures.ranking.auroc),
        *(_interval(figures.ranking.recall[rate]) for rate in RATES),
        percent(figures.flagged),
        percent(figures.blocked),
        style="bold" if bold else "",
    )


def benign_table(report: Report) -> Table:
    """Per benign source: the share of false alarms with its interval."""
    table = _table("false alarms")
    table.add_column("flagged", justify="right", no_wrap=True)
    table.add_column("blocked", justify="right", no_wrap=True)
    for figures in report.benign:
        table.add_row(
            visible(figures.source),
            figures.label,
            f"{figures.n:,}",
            _share(figures.flagged),
            _share(figures.blocked),
        )
    table.add_section()
    total = sum(figures.n for figures in report.benign)
    flagged, blocked = percent(report.benign_flagged), percent(report.benign_blocked)
    table.add_row("mean over sources", "", f"{total:,}", flagged, blocked, style="bold")
    return table


def footnotes(report: Report) -> Text:
    """What the tables mean, and what was left out."""
    at = " and ".join(f"{value:.3f} ({rate:.0%})" for rate, value in report.thresholds.items())
    lines = [
        f"Thresholds from the benign rows at hand, every source weighing the same: scores above {at}.",
        "In brackets 95 % intervals (bootstrap within sources; Wilson for false alarms).",
    ]
    if report.ignored:
        told = ", ".join(f"{count:,} {label}" for label, count in report.ignored.items())
        lines.append(f"Not used: {told}.")
    return Text("\n".join(lines), "dim")


def worst_rows(rows: Sequence[ScoredRow], count: int) -> Group:
    """The texts that the firewall judged worst, shortened and made harmless for a terminal."""
    misses, alarms = worst(rows, count)
    return Group(_listed("lowest-scoring attacks", misses), _listed("highest-scoring benign texts", alarms))


def _listed(title: str, rows: Sequence[ScoredRow]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_edge=False)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("text", overflow="fold")
    for row in rows:
        table.add_row(f"{row.score:.3f}", visible(row.source), Text(excerpt(row.text, _EXCERPT)))
    return table


def _table(title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_edge=False, padding=(0, 1)
    )
    table.add_column("source", overflow="ellipsis", no_wrap=True, min_width=12)
    table.add_column("label", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    return table


def _interval(estimate: Estimate) -> str:
    low, high = (
        f"{bound:.2f}".lstrip("0") if bound < 0.995 else "1.0" for bound in (estimate.low, estimate.high)
    )
    return f"{estimate.value:.2f} [{low} {high}]"


def _share(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} [{100 * estimate.low:.1f} {100 * estimate.high:.1f}]"
