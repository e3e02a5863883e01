"""`alknet-firewall evaluate`: figures by source on labelled text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alknet_firewall.compile.rows import Row
    from alknet_firewall.evaluate import ScoredRow
    from alknet_firewall.firewall import Engine

_INTERRUPTED = 130


def evaluate_command(
    data: Annotated[list[Path], typer.Argument(help="Labelled rows: JSON-lines files, or folders of them.")],
    codebook: Annotated[
        Path | None, typer.Option(help="Codebook to judge (default: the configured one).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many rows of a source and label.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Show so many of the worst misses and false alarms.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of rows and of the bootstrap.")] = 0,
) -> None:
    """Judge the firewall on labelled text: per source AUROC, recall at 1 % and 5 % false alarms, and more."""
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.render import console, print_warning
    from alknet_firewall.compile.rows import read_rows
    from alknet_firewall.evaluate import limited, report
    from alknet_firewall.firewall import Firewall

    rows = limited(read_rows(data), limit, seed)
    firewall = Firewall(settings(config, codebook))
    scored, complete = _scored(firewall.engine, rows)
    if not complete:
        print_warning(f"interrupted: figures of {len(scored):,} rows of {len(rows):,}, chosen by chance")
    figures = report(scored, seed=seed)
    if as_json:
        typer.echo(json.dumps({"rows": len(scored), "complete": complete, **figures.to_dict()}))
    else:
        from alknet_firewall.cli.reports import attack_table, benign_table, footnotes, worst_rows

        out = console()
        for part in (attack_table(figures), benign_table(figures), footnotes(figures)):
            out.print(part)
        if show:
            out.print(worst_rows(scored, show))
    if not complete:
        raise typer.Exit(_INTERRUPTED)


def _scored(engine: Engine, rows: list[Row]) -> tuple[list[ScoredRow], bool]:
    """The rows that were scored, and whether that is all of them: Ctrl-C stops early."""
    from alknet_firewall.cli.render import progress_bar
    from alknet_firewall.evaluate import score_rows

    scored: list[ScoredRow] = []
    with progress_bar("rows") as progress:
        task = progress.add_task("screening", total=len(rows))
        try:
            for row in score_rows(engine, rows):
                scored.append(row)
                progress.update(task, completed=len(scored))
        except KeyboardInterrupt:
            return scored, False
    return scored, True
