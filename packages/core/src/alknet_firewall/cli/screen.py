"""`alknet-firewall screen`: one text in, one verdict out."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.errors import DataError

if TYPE_CHECKING:
    from alknet_firewall.verdict import Alarm, Verdict

FLAGGED = 3
"""Exit status for a text that is not allowed."""


class Channel(str, Enum):
    """`alknet_firewall.verdict.CHANNELS`, as a choice."""

    USER = "user"
    DOCUMENT = "document"
    TOOL = "tool"
    RESPONSE = "response"


def screen_command(
    text: Annotated[str | None, typer.Argument(help="The text; - or nothing reads standard input.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read the text from a file.")] = None,
    channel: Annotated[Channel, typer.Option(help="Where the text comes from.")] = Channel.USER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as one line of JSON.")] = False,
    explain: Annotated[
        bool, typer.Option(help="Show where in the text, and what the evidence is made of.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Screen a text. Exit status: 0 allowed, 3 flagged, 2 wrong usage, 1 failure."""
    if text is not None and file is not None:
        raise typer.BadParameter("give a text or --file, not both")
    if as_json and explain:
        raise typer.BadParameter("--json holds the explanation of every alarm already; leave --explain out")
    given = _read(text, file)

    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.firewall import Firewall
    from alknet_firewall.nearest import nearest_alarms

    firewall = Firewall(settings(config))
    engine = firewall.engine  # what cannot be loaded is a failure of the command, not a verdict
    verdict = firewall.screen(given, channel.value)
    if as_json:
        typer.echo(json.dumps(verdict.to_dict()))
    else:
        _show(given, verdict, (verdict.alarms or nearest_alarms(engine, given, verdict)[:1]) if explain else None)
    raise typer.Exit(FLAGGED if verdict.flagged else 0)


def _read(text: str | None, file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise typer.BadParameter("give a text, --file, or text on standard input")
    stream = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if stream is None else str(stream.read().decode("utf-8", "surrogateescape"))


def _show(text: str, verdict: Verdict, explained: tuple[Alarm, ...] | None) -> None:
    from alknet_firewall.cli.render import console
    from alknet_firewall.cli.verdicts import explanation, summary

    out = console()
    out.print(summary(text, verdict))
    if explained is not None:
        out.print(explanation(text, verdict, explained))
