"""The figures of an evaluation as tables that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.render import excerpt, percent, visible
from alknet_firewall.evaluate.figures import AttackFigures, BenignFigures, Report
from alknet_firewall.evaluate.metrics import Estimate
from alknet_firewall.evaluate.piguard import PUBLISHED, PiguardAverage
from alknet_firewall.evaluate.report import worst
from alknet_firewall.evaluate.scoring import ScoredRow
from alknet_firewall.evaluate.sources import RATES

_EXCERPT = 160
_STRICT, *_USUAL = RATES  # at the strictest rate the interval is left out: there is no room for it


def attack_table(report: Report) -> RenderableType:
    """By label and source of attacks: ranking, recall, what the firewall does; means; what is apart."""
    if not report.attacks and not report.apart:
        return Text("no attacks among the rows: only false alarms can be told\n")
    table = plain_table()
    for heading in (
        "AUROC",
        rate_in_percent(_STRICT),
        *(f"recall {rate_in_percent(rate)}" for rate in _USUAL),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("flag", "block"):
        table.add_column(heading, justify="right", no_wrap=True)
    groups: dict[str, list[AttackFigures]] = {}
    for figures in report.attacks:
        groups.setdefault(figures.label, []).append(figures)
    for figures in report.apart:
        groups.setdefault(f"{figures.label} (apart)", []).append(figures)
    for heading, members in groups.items():
        table.add_row(Text(heading, "bold"))
        for figures in members:
            _add_attack(table, _marked(figures), figures)
        table.add_section()
    table.add_row(Text("mean over sources", "bold"))
    for figures in report.averages:
        _add_attack(table, figures.label, figures)
    return Group(Text("attacks", "bold"), table, "")


def _add_attack(table: Table, name: str, figures: AttackFigures) -> None:
    table.add_row(
        source_name(name),
        f"{figures.n:,}",
        interval(figures.ranking.auroc),
        f"{figures.ranking.recall[_STRICT].value:.2f}",
        *(interval(figures.ranking.recall[rate]) for rate in _USUAL),
        percent(figures.flagged.value),
        percent(figures.blocked.value),
    )


def benign_table(report: Report) -> RenderableType:
    """Per benign source: the share of false alarms with its interval."""
    table = plain_table()
    table.add_column("flagged", justify="right", no_wrap=True, min_width=20)
    table.add_column("blocked", justify="right", no_wrap=True, min_width=20)
    for figures in report.benign:
        name = _marked(figures) + (" (hard)" if figures.label == "hard_negative" else "")
        table.add_row(source_name(name), f"{figures.n:,}", share(figures.flagged), share(figures.blocked))
    table.add_section()
    total = sum(figures.n for figures in report.benign)
    flagged, blocked = share(report.benign_flagged), share(report.benign_blocked)
    table.add_row(Text("mean over sources", "bold"), f"{total:,}", flagged, blocked)
    return Group(Text("false alarms", "bold"), table, "")


def slice_table(report: Report) -> RenderableType:
    """By channel, length, language and position: ranking, recall, what the firewall flags."""
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("slice", min_width=17)
    for heading in ("attacks", "benign", "AUROC", "recall 1 %", "flagged", "false alarms"):
        table.add_column(heading, justify="right", no_wrap=True)
    dimension = ""
    for one in report.slices:
        if one.dimension != dimension:
            dimension = one.dimension
            table.add_row(Text(dimension, "bold"))
        table.add_row(
            source_name(one.value),
            f"{one.attacks:,}",
            f"{one.benign:,}",
            interval(one.auroc) if one.auroc else "-",
            interval(one.recall[0.01]) if 0.01 in one.recall else "-",
            percent(one.flagged.value) if one.flagged else "-",
            percent(one.false_alarms.value) if one.false_alarms else "-",
        )
    return Group(Text("slices", "bold"), table, "")


def piguard_table(found: PiguardAverage) -> RenderableType:
    """The average of the PIGuard paper: ours, and the published rows."""
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("right answers on", min_width=17)
    for heading in ("NotInject", "benign", "malicious", "average"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=15)
    ours = (found.over_defence, found.benign, found.malicious, found.average)
    table.add_row(source_name("this codebook"), *(share(estimate) for estimate in ours), style="bold")
    for row in PUBLISHED:
        values = (row.over_defence, row.benign, row.malicious, row.average)
        table.add_row(source_name(row.name), *(f"{100 * value:.1f} %{'':10}" for value in values))
    told = Text(
        f"Malicious: {found.malicious_source}. The paper's benign and malicious sides have PINT in them, which is "
        "not public.\n",
        "dim",
    )
    return Group(Text("average of the PIGuard paper (arXiv:2410.22770v1)", "bold"), table, told)


def footnotes(report: Report) -> Text:
    """What the tables mean, and what was left out."""
    at = ", ".join(f"{value:.3f} ({rate_in_percent(rate)})" for rate, value in report.thresholds.items())
    lines = [
        f"Recall: at thresholds from the benign rows at hand, every source weighing the same: above {at}.",
        "Flag, block: what the thresholds of the settings do. Lengths: in characters.",
        "Small: 95 % intervals. Of a source: over its rows (bootstrap; Wilson for shares). Of a mean: over sources.",
        "(In brackets: too few rows to count in means.) *: the codebook was compiled from this source.",
    ]
    if report.benign_effective < 1 / _STRICT:
        lines.append(
            f"The benign text weighs as much as {report.benign_effective:,.0f} texts of one source: too little to "
            f"tell recall at {rate_in_percent(_STRICT)}; read it as a hint."
        )
    if report.ignored:
        told = ", ".join(f"{count:,} {label}" for label, count in report.ignored.items())
        lines.append(f"Not used: {told}.")
    return Text("\n".join(lines), "dim")


def worst_rows(rows: Sequence[ScoredRow], count: int, texts: bool) -> Group:
    """What the firewall judged worst; with texts shortened and made harmless for a terminal, or without."""
    misses, alarms = worst(rows, count)
    return Group(
        "",
        _listed("lowest-scoring attacks", misses, texts),
        "",
        _listed("highest-scoring benign texts", alarms, texts),
    )


def _listed(title: str, rows: Sequence[ScoredRow], texts: bool) -> Group:
    table = Table(box=box.SIMPLE, show_edge=False)
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("source", no_wrap=True, max_width=24)
    table.add_column("text" if texts else "group", overflow="fold")
    for row in rows:
        told = excerpt(row.row.text, _EXCERPT) if texts else excerpt(row.row.gid, 40)
        table.add_row(f"{row.number:,}", f"{row.score:.3f}", visible(row.row.source), Text(told))
    return Group(Text(title, "bold"), table)


def plain_table() -> Table:
    """A table of sources with their number of rows; columns are added to it."""
    table = Table(box=box.SIMPLE, show_edge=False, padding=0, pad_edge=False)
    table.add_column("source", min_width=16)  # the one column that gives way in a narrow terminal
    table.add_column("n", justify="right", no_wrap=True, min_width=5)
    return table


def source_name(name: str) -> Text:
    """A name, on several lines where there is no room: its end may be the mark of a known source."""
    return Text(f" {visible(name)}", overflow="fold")


def interval(estimate: Estimate) -> Text:
    """An estimate and its interval, as `0.97 .95-.99`."""
    low, high = (_bound(bound) for bound in (estimate.low, estimate.high))
    return Text.assemble(f"{estimate.value:.2f}", (f" {low}-{high:<3}", "dim"))


def share(estimate: Estimate) -> Text:
    """A share and its interval, in per cent."""
    return Text.assemble(
        percent(estimate.value), (f" {100 * estimate.low:4.1f}-{100 * estimate.high:<4.1f}", "dim")
    )


def rate_in_percent(rate: float) -> str:
    """A rate of false alarms as `0.1 %`."""
    return f"{100 * rate:g} %"


def _bound(value: float) -> str:
    return "1.0" if value >= 0.995 else f"{value:.2f}".replace("0.", ".", 1)


def _marked(figures: AttackFigures | BenignFigures) -> str:
    name = f"{figures.source}*" if figures.seen else figures.source
    return name if figures.counted else f"({name})"
