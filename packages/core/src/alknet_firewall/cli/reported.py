"""What `report` found, as tables in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table

from alknet_firewall.cli.drifted import title
from alknet_firewall.cli.render import console, percent, visible
from alknet_firewall.evaluate.day import Day
from alknet_firewall.evaluate.drift import ChannelDrift


def show(day: Day, drifts: Mapping[str, ChannelDrift]) -> None:
    """Prints it.

    Args:
        day: What the log tells.
        drifts: By channel, how its scores compare with the calibration.
    """
    screen = console()
    screen.print(
        f"{day.verdicts:,} verdicts from {day.first:%Y-%m-%d %H:%M} to {day.last:%Y-%m-%d %H:%M} UTC"
    )
    if day.malformed:
        screen.print(f"lines that could not be read: {day.malformed:,}", style="yellow")
    table = Table(box=box.SIMPLE, show_edge=False, padding=(0, 1))
    table.add_column("channel")
    for heading in ("verdicts", "review", "block", "failed", "median", "99 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in day.channels.items():
        review, block = (one.actions.get(action, 0) for action in ("review", "block"))
        times = (
            ["-", "-"]
            if one.seconds is None
            else [f"{1000 * seconds:,.1f} ms" for seconds in one.seconds[:2]]
        )
        shares = [f"{count:,} ({percent(count / one.verdicts)})" for count in (review, block)]
        table.add_row(name, f"{one.verdicts:,}", *shares, f"{one.errors:,}", *times)
    screen.print(table)
    alarms = {
        (behavior, name): count
        for name, one in day.channels.items()
        for behavior, count in one.behaviors.items()
    }
    for (behavior, name), count in sorted(alarms.items(), key=lambda item: -item[1]):
        screen.print(f"{count:,} alarms of {visible(behavior)} in channel {name}")
    for name, found in drifts.items():
        screen.print(title(name, found))
