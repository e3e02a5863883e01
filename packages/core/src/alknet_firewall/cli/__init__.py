"""The command line: one file a command, wired in `app`."""

from __future__ import annotations


def main() -> None:
    """The console script `alknet-firewall`."""
    from alknet_firewall.cli.app import app

    app(prog_name="alknet-firewall")  # its name in help and completion, however it was started
