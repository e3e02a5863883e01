"""The application by settings of the environment: for gunicorn, Ray Serve, or `uvicorn --factory ...asgi:create`."""

from __future__ import annotations

from fastapi import FastAPI

from alknet_firewall.config import FirewallConfig
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.app import create_app
from alknet_firewall.serve.settings import ServeSettings


def create() -> FastAPI:
    """The application as the variables `ALKNET_FIREWALL_*` and `ALKNET_SERVE_*` say; to be called in each worker.

    Raises:
        ConfigError: A variable is unknown or has a bad value.
    """
    return create_with(FirewallConfig(), ServeSettings.from_environment())


def create_with(config: FirewallConfig, settings: ServeSettings) -> FastAPI:
    """The application in this process, with export to OpenTelemetry if that is asked for.

    Args:
        config: Of the firewall.
        settings: Of the server.
    """
    if settings.otel:
        from alknet_firewall.serve import otel

        otel.start()
    return create_app(Firewall(config), settings)
