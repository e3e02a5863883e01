"""What `drift` found, in words and figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alknet_firewall.cli.render import console, percent
from alknet_firewall.evaluate.drift import ChannelDrift, RateCheck, State

_STYLES = {State.SAME: "green", State.DRIFT: "red", State.UNCLEAR: "yellow"}
_TITLES = {State.SAME: "no drift", State.DRIFT: "DRIFT", State.UNCLEAR: "cannot tell"}


def show(channels: Mapping[str, ChannelDrift], recalibrated: Collection[str]) -> None:
    """Prints it.

    Args:
        channels: What was found.
        recalibrated: Channels whose rates come from traffic of one's own.
    """
    screen = console()
    for number, (channel, found) in enumerate(channels.items()):
        if number:
            screen.print()
        screen.print(title(channel, found))
        screen.print(advice(found, channel in recalibrated))
        if found.set_aside >= 0.5:
            screen.print(f"{found.set_aside:.0f} more look like attacks and were not counted.")
        _figures(screen, found)


def title(channel: str, found: ChannelDrift) -> Text:
    """The channel, and what is known of it."""
    told = Text.assemble((f"{channel}: {_TITLES[found.state]}", f"bold {_STYLES[found.state]}"))
    return told.append(f" ({found.texts:,} texts)", "dim")


def advice(found: ChannelDrift, recalibrated: bool) -> str:
    """Whether and when to recalibrate, and why.

    Args:
        found: Of a channel.
        recalibrated: Whether its rates come from traffic of one's own.
    """
    if found.state is State.UNCLEAR:
        return (
            f"Nothing stands out, but so few texts say little: twice as many false alarms would go unnoticed. From "
            f"about {found.needed:,} texts on they would not. Collect more before you decide."
        )
    if found.state is State.SAME:
        return (
            f"Recent texts look like those of the calibration: twice as many at {percent(found.noticed or 1)} would "
            "have been noticed. No need to recalibrate now. Look again after as many new texts, and after any change "
            "of what your application sends."
        )
    against = "" if recalibrated else " The rates are those of the shipped calibration, not of your traffic."
    worst = _worst(found)
    if worst is None:
        return (
            "No more texts alarm than should, but their evidence is distributed otherwise: the traffic has changed. "
            f"Recalibrate when convenient.{against}"
        )
    said = f"{percent(worst.share.value)} of the texts reach what {percent(worst.rate)} should."
    if worst.share.value > worst.rate:
        return (
            f"{said} Benign text of a new kind has come, or many attacks. Look at what alarms; if it is benign, "
            f"recalibrate now.{against}"
        )
    return (
        f"Only {said} The thresholds stand higher than they need to: after recalibrating, the same rate of false "
        f"alarms finds more attacks. No hurry.{against}"
    )


def _worst(found: ChannelDrift) -> RateCheck | None:
    drifted = [check for check in found.checks if check.drifted]
    more = [check for check in drifted if check.share.value > check.rate]
    return min(more or drifted, key=lambda check: check.chance, default=None)


def _figures(screen: Console, found: ChannelDrift) -> None:
    table = Table(box=box.SIMPLE, show_edge=False, padding=(0, 1))
    for heading in ("should reach", "do", "95 % sure", "chance of that"):
        table.add_column(heading, justify="right")
    for check in found.checks:
        style = "bold red" if check.drifted else ""
        sure = f"{percent(check.share.low)} to {percent(check.share.high)}"
        table.add_row(
            percent(check.rate), percent(check.share.value), sure, _chance(check.chance), style=style
        )
    style = "bold red" if found.distance_drifted else ""
    table.add_section()
    table.add_row("distance", f"{found.distance:.2f}", "", _chance(found.distance_chance), style=style)
    screen.print(table)


def _chance(chance: float) -> str:
    return "under 0.01 %" if chance < 1e-4 else percent(chance)
