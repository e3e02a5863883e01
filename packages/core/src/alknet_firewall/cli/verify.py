"""`alknet-firewall verify`: whether a codebook is undamaged and signed by whom it should be."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_LARGEST_KEY = 1 << 12  # bytes


def verify_command(
    codebook: Annotated[Path, typer.Argument(help="The codebook.")],
    signer: Annotated[list[str], typer.Option(help="Public key: 64 hex digits, or a file with them; repeatable.")],
    min_serial: Annotated[int | None, typer.Option(min=0, help="Lowest serial number that is accepted.")] = None,
    not_before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Earliest date of signing that is accepted.")
    ] = None,
) -> None:
    """Check a codebook's checksum, content and signature; exit status 1 if anything is wrong."""
    from alknet_firewall.codebook.codebook import codebook_bytes, parse_codebook
    from alknet_firewall.codebook.seal import opened
    from alknet_firewall.codebook.signature import Trust, check_signature
    from alknet_firewall.plugins import load_plugins

    trust = Trust(tuple(map(_public, signer)), min_serial, None if not_before is None else not_before.date())
    content = codebook_bytes(codebook)
    parse_codebook(content, str(codebook), load_plugins().readouts, trust)
    signature = check_signature(opened(content), trust, str(codebook))
    typer.echo(f"signed by {signature.signer}, serial {signature.serial}, {signature.date}")


def _public(given: str) -> str:
    """The key that an option names."""
    from alknet_firewall.codebook.signature import PUBLIC_KEY
    from alknet_firewall.files import read_bounded, told

    digits = given.strip().lower()
    if not PUBLIC_KEY.fullmatch(digits):
        try:
            digits = read_bounded(Path(given), _LARGEST_KEY).decode("ascii").strip().lower()
        except (OSError, ValueError) as error:
            why = f"neither 64 hex digits nor a file ({told(error)})"
            raise typer.BadParameter(why, param_hint="--signer") from error
    if not PUBLIC_KEY.fullmatch(digits):
        raise typer.BadParameter("the file does not hold 64 hex digits", param_hint="--signer")
    return digits
