"""`alknet-firewall inspect`: a codebook in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def inspect_command(
    codebook: Annotated[Path | None, typer.Argument(help="The codebook (default: the bundled one).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what a codebook recognises, how it reads, how often it errs, and where it came from."""
    from alknet_firewall.cli.codebooks import open_codebook
    from alknet_firewall.cli.described import described
    from alknet_firewall.codebook.codebook import BUNDLED

    told = described(open_codebook(codebook))
    if as_json:
        typer.echo(json.dumps(told))
        return
    from alknet_firewall.cli.described_tables import tables
    from alknet_firewall.cli.render import console

    out = console()
    for part in tables(BUNDLED if codebook is None else str(codebook), told):
        out.print(part)
