"""`alknet-firewall serve`: the firewall as a server beside other programs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from alknet_firewall.errors import ConfigError

_NEEDED = ("fastapi", "uvicorn", "websockets", "prometheus_client")


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 8080,
    uds: Annotated[Path | None, typer.Option(help="Listen on this unix socket instead.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with a model of its own.")] = 1,
    api_key_file: Annotated[Path | None, typer.Option(help="File of keys, one a line.")] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Answer any address without a key.")] = False,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Largest body of a request.")] = None,
    deadline_ms: Annotated[float | None, typer.Option(min=1, help="Time that a request may take.")] = None,
    grace: Annotated[
        int, typer.Option(min=0, help="Seconds for requests at work when the server ends.")
    ] = 30,
    audit_log: Annotated[
        Path | None, typer.Option(help="Write every verdict to this file, without text.")
    ] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="Traces and metrics by OTLP, as OTEL_* variables say.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Serve the firewall over HTTP until it is told to end."""
    check_extras(otel)
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.serve.keys import ApiKeys
    from alknet_firewall.serve.run import Listen, serve
    from alknet_firewall.serve.settings import ServeSettings, read_environment

    given = {"max_bytes": max_bytes, "deadline_ms": deadline_ms, "audit_log": audit_log, "otel": otel or None}
    chosen = {**read_environment(), **{name: value for name, value in given.items() if value is not None}}
    if api_key_file is not None:
        chosen["keys"] = ApiKeys.from_file(api_key_file)
    listen = Listen(host, port, uds, workers, grace, open_to_all=no_key)
    serve(settings(config), ServeSettings(**chosen), listen)


def check_extras(otel: bool) -> None:
    """Says which extra is missing, if one is.

    Raises:
        ConfigError: One is.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'the server needs {", ".join(missing)}; install it with: pip install "alknet-firewall[serve]"'
        )
    if otel and _lacks_otel():
        raise ConfigError('--otel needs OpenTelemetry; install it with: pip install "alknet-firewall[otel]"')


def _lacks_otel() -> bool:
    try:  # a part of a package: looking for it imports those around it
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is None
    except ModuleNotFoundError:
        return True
