"""`alknet-firewall sign`: puts a signature into a codebook."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

_LARGEST_KEY = 1 << 16  # bytes


def sign_command(
    codebook: Annotated[Path, typer.Argument(help="The codebook.")],
    key: Annotated[Path, typer.Option(help="Private key, from `alknet-firewall keygen`.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where the signed one goes (default: in place).")
    ] = None,
    serial: Annotated[int, typer.Option(min=0, help="Serial number; `min_serial` refuses earlier ones.")] = 0,
    on: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Date that is signed with it (default: today, UTC)."),
    ] = None,
) -> None:
    """Sign a codebook (Ed25519), with a serial number and a date against roll-back."""
    from alknet_firewall.codebook.codebook import codebook_bytes
    from alknet_firewall.codebook.signature import sign_codebook
    from alknet_firewall.detector.cache import write_atomically
    from alknet_firewall.errors import DataError
    from alknet_firewall.files import read_bounded, told

    try:
        private = read_bounded(key, _LARGEST_KEY)
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: cannot be read ({told(error)})") from error
    day: date = on.date() if on is not None else datetime.now(timezone.utc).date()
    signed = sign_codebook(codebook_bytes(codebook), private, serial, day, str(codebook))
    target = out or codebook
    try:
        write_atomically(target, signed)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror})") from error
    typer.echo(f"signed: serial {serial}, {day}")
