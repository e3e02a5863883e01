"""`alknet-firewall playground`: a page on this machine that shows what the firewall sees in a text."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from alknet_firewall.errors import ConfigError

HOST = "127.0.0.1"  # and no other: the page is for whoever sits here
_LARGEST_BODY = 2 << 20


def playground_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any that is free.")] = 8642,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    config: Annotated[Path | None, typer.Option(help="Settings file (default: those in this folder).")] = None,
) -> None:
    """Try texts on a page on this machine. Ends with Ctrl+C."""
    try:
        import uvicorn

        from alknet_firewall.serve.app import create_app
        from alknet_firewall.serve.settings import ServeSettings
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the playground needs the extra `serve`: pip install \"alknet-firewall[serve]\" ({error})"
        ) from error
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.render import console
    from alknet_firewall.firewall import Firewall

    firewall = Firewall(settings(config)).warm_up()  # what cannot be loaded is an error here, not on the page
    # Its other addresses, /v1/screen among them, are no more for pages from elsewhere than the page itself.
    app = create_app(firewall, ServeSettings(playground=True, max_bytes=_LARGEST_BODY, local_names_only=True))
    with _listening(port) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/playground/"
        console().print(f"{address}  (Ctrl+C ends it)", soft_wrap=True)
        if browser:
            webbrowser.open(address)  # connections wait until the server below takes them
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(f"port {port} cannot be used ({error.strerror}); choose another: --port 0") from error
