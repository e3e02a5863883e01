"""Wires the commands into one program. They import what is heavy on their call, so that `--help` is quick."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from alknet_firewall.errors import AlknetFirewallError

_COMMANDS = (
    "screen", "evaluate", "compare", "calibrate", "drift", "compile", "inspect", "keygen", "sign", "verify", "states",
    "serve", "doctor", "playground", "screen-files", "mcp-proxy",
    "screen-dataset", "report",
)  # fmt: skip
_PACKAGE = "alknet_firewall.cli"


class _Program(TyperGroup):
    """Turns this package's errors into one clear message and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 must not stop a verdict
        try:
            return super().invoke(ctx)
        except AlknetFirewallError as error:
            from alknet_firewall.cli.render import print_error

            print_error(str(error))
            raise typer.Exit(1) from error


app = typer.Typer(
    name="alknet-firewall",
    cls=_Program,
    help="Screens untrusted text before a language model reads it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from alknet_firewall.cli.render import visible
    from alknet_firewall.cli.version import version_lines

    for told in version_lines():
        typer.echo(visible(told))
    raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show version and fingerprints, and exit."
        ),
    ] = False,
) -> None:
    pass


def _wire() -> None:
    for name in _COMMANDS:
        own = name.replace("-", "_")
        module = f"{_PACKAGE}.{own}"
        if importlib.util.find_spec(module) is not None:
            app.command(name)(getattr(importlib.import_module(module), f"{own}_command"))
    for name in ("weights", "sae"):
        app.add_typer(importlib.import_module(f"{_PACKAGE}.{name}").app, name=name)


_wire()
