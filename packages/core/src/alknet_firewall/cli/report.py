"""`alknet-firewall report`: what an audit log tells, in the terminal and as a page."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alknet_firewall.evaluate.day import Day
    from alknet_firewall.evaluate.pages.day import Told

_EXCERPT = 160  # characters of a text on the page


def report_command(
    log: Annotated[list[Path], typer.Argument(metavar="LOG...", help="Audit logs, plain or gzipped.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a page: one HTML file that holds all it needs."),
    ] = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this day, in UTC (default: all).")
    ] = None,
    codebook: Annotated[
        Path | None, typer.Option(help="Codebook that gave the verdicts (default: the configured one).")
    ] = None,
    listed: Annotated[int, typer.Option("--list", min=0, help="How many texts are listed.")] = 20,
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="Show texts, shortened, where they were logged.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Report what an audit log tells: volumes, alarms, drift, times, texts to look at."""
    from alknet_firewall.cli.evaluate import check_report, write_report
    from alknet_firewall.evaluate.day import summarise
    from alknet_firewall.evaluate.log_lines import read_log

    if out is not None:
        check_report(out)
    found = summarise(read_log(log, None if day is None else day.date()), listed=listed)
    told = _told(found, codebook, config, texts)
    if as_json:
        drifts = {name: one.to_dict() for name, one in told.drift.items()}
        typer.echo(json.dumps({**found.to_dict(), "drift": drifts}))
    else:
        from alknet_firewall.cli.reported import show

        show(found, told.drift)
    if out is not None:
        from alknet_firewall.evaluate.pages.day import day_page

        write_report(out, day_page(found, told))


def _told(day: Day, codebook: Path | None, config: Path | None, texts: bool) -> Told:
    import hashlib

    from alknet_firewall import __version__
    from alknet_firewall.cli.codebooks import open_codebook, settings
    from alknet_firewall.cli.drifted import advice
    from alknet_firewall.cli.render import excerpt
    from alknet_firewall.evaluate.day import drift_of
    from alknet_firewall.evaluate.pages.day import Told

    path = settings(config, codebook).codebook
    book = open_codebook(path)
    own = book.provenance.get("recalibrated", {}).get("texts", {})
    drifts = drift_of(day, book)
    name = "bundled" if path is None else path.name
    return Told(
        version=__version__,
        codebook=f"{name} ({hashlib.sha256(book.to_bytes()).hexdigest()[:12]})",
        drift=drifts,
        advice={channel: advice(one, channel in own) for channel, one in drifts.items()},
        excerpt=(lambda text: excerpt(text, _EXCERPT)) if texts else None,
    )
