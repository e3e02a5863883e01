"""`alknet-firewall keygen`: a key to sign codebooks with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def keygen_command(
    key: Annotated[Path, typer.Argument(help="File for the private key; the public one gets .pub at its end.")],
) -> None:
    """Make a key to sign codebooks with; prints the public key."""
    from alknet_firewall.cli.render import errors, visible
    from alknet_firewall.codebook.signature import new_key
    from alknet_firewall.errors import DataError

    private, public = new_key()
    public_file = key.with_name(f"{key.name}.pub")
    made: list[Path] = []
    try:
        for path, content, mode in ((key, private, 0o600), (public_file, f"{public}\n".encode(), 0o644)):
            # O_EXCL: a key that is there already is never written over.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
            made.append(path)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
    except OSError as error:
        for half in made:  # one of the two is no use, and would stand in the way of the next try
            half.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    errors().print(visible(f"private key: {key} (not encrypted: keep it off the machines that screen)"))
    typer.echo(public)
