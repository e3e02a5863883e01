"""Progress of `screen-dataset`, and what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from alknet_firewall.batch import Progress, Result
from alknet_firewall.cli.render import STYLES, console, errors, percent, visible
from alknet_firewall.verdict import Action

_EVERY = 60.0  # s between lines where there is no terminal


class _Rate(ProgressColumn):
    """Rows a second since this run began; `TimeRemainingColumn` forgets what is older than half a minute."""

    def render(self, task: Task) -> Text:
        rate = task.fields.get("rate", 0.0)
        return Text(f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.1f} rows/s")


class Watch:
    """Shows progress on standard error: a bar in a terminal, elsewhere a line a minute."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._terminal = bar, sys.stderr.isatty()
        self._task = bar.add_task("reading", total=None, rate=0.0, flagged="")
        self._begun = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    def scanned(self, name: str) -> None:
        """A file is read to be planned."""
        self._bar.update(self._task, description=f"reading {visible(name)[:40]}")

    def progress(self, done: Progress) -> None:
        """A part is done."""
        now = time.monotonic()
        if done.rows == done.resumed:  # the first: what came before is not of this run
            self._screening = now
            if done.resumed:
                self._bar.console.print(f"going on: {done.resumed:,} of {done.total:,} rows were done before")
        rate = (done.rows - done.resumed) / max(now - self._screening, 1e-3)
        flagged = f"{done.tally.flagged:,} flagged"
        self._bar.update(
            self._task,
            description="screening",
            total=done.total,
            completed=done.rows,
            rate=rate,
            flagged=flagged,
        )
        if not self._terminal and now - self._told >= _EVERY:
            self._told = now
            left = (done.total - done.rows) / rate if rate else 0.0
            self._bar.console.print(
                f"{done.rows:,} of {done.total:,} rows, {rate:,.1f} a second, {left / 60:.0f} min left, {flagged}"
            )


@contextmanager
def watched() -> Iterator[Watch]:
    """Shows progress while it is open."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[flagged]}"),
    )
    with Bar(*columns, console=errors(), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield Watch(bar)


def show_summary(result: Result, seconds: float) -> None:
    """Prints what came of a run."""
    tally, screen = result.tally, console()
    table = Table(box=box.SIMPLE, show_edge=False, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for action in Action:
        count = tally.actions.get(action.value, 0)
        table.add_row(Text(action.value, STYLES[action]), f"{count:,}", percent(count / max(tally.rows, 1)))
    table.add_section()
    for name, count in sorted(tally.behaviors.items(), key=lambda item: -item[1]):
        table.add_row(f"alarms: {visible(name)}", f"{count:,}", percent(count / max(tally.rows, 1)))
    table.add_section()
    others = {
        "rows screened": tally.rows,
        "distinct texts in their part": tally.distinct,
        "tokens": tally.tokens,
        "read in part only (on_long)": tally.truncated,
        "screening failed (on_error)": tally.errors,
        "malformed, set aside": tally.rejected,
        "of an earlier run": result.resumed,
    }
    for name, count in others.items():
        if count or name == "rows screened":
            table.add_row(name, f"{count:,}", "")
    screen.print(table)
    fresh = tally.rows + tally.rejected - result.resumed
    if fresh:
        how = f"{result.processes} process{'' if result.processes == 1 else 'es'}"
        screen.print(
            f"{fresh:,} rows in {seconds:,.0f} s ({fresh / max(seconds, 1e-3):,.1f} a second, {how})"
        )
    else:
        screen.print("all of it was done before")
    screen.print(f"written to {visible(str(result.output))}", soft_wrap=True)
    if result.rejected is not None:
        screen.print(f"malformed rows in {visible(str(result.rejected))}", style="yellow", soft_wrap=True)
