"""The figures of an evaluation as tables that fit into 80 columns."""

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
    """By label and source of attacks: ranking, recall, what the firewall does; means; what is apart."""
    if not report.attacks and not report.apart:
        return Text("no attacks among the rows: only false alarms can be told\n")
    table = _table()
    for heading in ("AUROC", *(f"recall {_rate(rate)}" for rate in RATES), "flagged", "blocked"):
        table.add_column(heading, justify="right", no_wrap=True)
    groups: dict[str, list[AttackFigures]] = {}
    for figures in report.attacks:
        groups.setdefault(figures.label, []).append(figures)
    for figures in report.apart:
        groups.setdefault(f"{figures.label} (apart)", []).append(figures)
    for heading, members in groups.items():
        table.add_row(Text(heading, "bold"))
        for figures in members:
            _add_attack(table, figures.source, figures)
        table.add_section()
    table.add_row(Text("mean over sources", "bold"))
    for figures in report.averages:
        _add_attack(table, figures.label, figures)
    return Group(Text("attacks", "bold"), table, "")


def _add_attack(table: Table, name: str, figures: AttackFigures) -> None:
    table.add_row(
        _name(name),
        f"{figures.n:,}",
        _interval(figures.ranking.auroc),
        *(_interval(figures.ranking.recall[rate]) for rate in RATES),
        percent(figures.flagged),
        percent(figures.blocked),
    )


def benign_table(report: Report) -> RenderableType:
    """Per benign source: the share of false alarms with its interval."""
    table = _table()
    table.add_column("flagged", justify="right", no_wrap=True, min_width=20)
    table.add_column("blocked", justify="right", no_wrap=True, min_width=20)
    for figures in report.benign:
        name = figures.source + (" (hard)" if figures.label == "hard_negative" else "")
        table.add_row(_name(name), f"{figures.n:,}", _share(figures.flagged), _share(figures.blocked))
    table.add_section()
    total = sum(figures.n for figures in report.benign)
    flagged, blocked = percent(report.benign_flagged), percent(report.benign_blocked)
    table.add_row("mean over sources", f"{total:,}", flagged, blocked, style="bold")
    return Group(Text("false alarms", "bold"), table, "")


def footnotes(report: Report) -> Text:
    """What the tables mean, and what was left out."""
    at = " and ".join(f"{value:.3f} ({_rate(rate)})" for rate, value in report.thresholds.items())
    lines = [
        f"Recall: at thresholds from the benign rows at hand, every source weighing the same: above {at}.",
        "Flagged, blocked: at the thresholds of the settings.",
        "Small: 95 % intervals (bootstrap within sources; Wilson for false alarms).",
    ]
    if report.ignored:
        told = ", ".join(f"{count:,} {label}" for label, count in report.ignored.items())
        lines.append(f"Not used: {told}.")
    return Text("\n".join(lines), "dim")


def worst_rows(rows: Sequence[ScoredRow], count: int) -> Group:
    """The texts that the firewall judged worst, shortened and made harmless for a terminal."""
    misses, alarms = worst(rows, count)
    return Group(
        "", _listed("lowest-scoring attacks", misses), "", _listed("highest-scoring benign texts", alarms)
    )


def _listed(title: str, rows: Sequence[ScoredRow]) -> Group:
    table = Table(box=box.SIMPLE, show_edge=False)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True, max_width=24)
    table.add_column("text", overflow="fold")
    for row in rows:
        table.add_row(f"{row.score:.3f}", visible(row.source), Text(excerpt(row.text, _EXCERPT)))
    return Group(Text(title, "bold"), table)


def _table() -> Table:
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("source", min_width=17)  # the one column that gives way in a narrow terminal
    table.add_column("n", justify="right", no_wrap=True, min_width=5)
    return table


def _name(name: str) -> Text:
    return Text(f" {visible(name)}", no_wrap=True, overflow="ellipsis")


def _interval(estimate: Estimate) -> Text:
    low, high = (_bound(bound) for bound in (estimate.low, estimate.high))
    return Text.assemble(f"{estimate.value:.2f}", (f" {low}-{high:<3}", "dim"))


def _bound(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}".lstrip("0")


def _share(estimate: Estimate) -> Text:
    return Text.assemble(
        percent(estimate.value), (f" {100 * estimate.low:4.1f}-{100 * estimate.high:<4.1f}", "dim")
    )


def _rate(rate: float) -> str:
    return f"{100 * rate:g} %"
