"""`alknet-firewall mcp-proxy -- COMMAND`: screens what an MCP server says on its way to the client."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alknet_firewall.doors import mcp_screen


class OnAlarm(str, Enum):
    """`alknet_firewall.doors.mcp_screen.OnAlarm`, as a choice."""

    BLOCK = "block"
    REDACT = "redact"
    ANNOTATE = "annotate"


_CHOSEN: dict[OnAlarm, mcp_screen.OnAlarm] = {
    OnAlarm.BLOCK: "block",
    OnAlarm.REDACT: "redact",
    OnAlarm.ANNOTATE: "annotate",
}


def mcp_proxy_command(
    command: Annotated[list[str], typer.Argument(help="The server and its arguments, after --.")],
    on_alarm: Annotated[
        OnAlarm,
        typer.Option(help="Withhold the whole result, or only what is flagged, or pass it on behind a warning."),
    ] = OnAlarm.BLOCK,
    config: Annotated[Path | None, typer.Option(help="Settings file (default: the environment alone).")] = None,
) -> None:
    """Screen tool descriptions, results, prompts and resources of an MCP server (stdio) before a model reads them."""
    from alknet_firewall.cli.render import print_warning
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.doors.mcp_proxy import run_proxy
    from alknet_firewall.firewall import Firewall

    # Not of the working directory: that is often the repository of a stranger, and its files would be obeyed.
    settings = FirewallConfig() if config is None else FirewallConfig.from_file(config)
    firewall = Firewall(settings).warm_up()
    client = (sys.stdin.buffer, sys.stdout.buffer)
    raise typer.Exit(run_proxy(command, firewall, _CHOSEN[on_alarm], client=client, tell=print_warning))
