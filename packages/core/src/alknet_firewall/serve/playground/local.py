"""Who may use the page: a browser on this machine, on a page that came from here."""

from __future__ import annotations

import ipaddress

from fastapi import Request

from alknet_firewall.serve.playground.problems import Problem

_NAMES = {"localhost", "127.0.0.1", "::1"}


async def only_from_here(request: Request) -> None:
    """Refuses what does not come from this machine, or was led here by a page from elsewhere.

    A name that a stranger's page has bound to 127.0.0.1 (DNS rebinding) shows in `Host`, another site's request in
    `Origin`.

    Raises:
        Problem: 403 or 421; the message says what to do.
    """
    client = request.client
    if client is not None and not _is_loopback(client.host):  # None: a unix socket
        raise Problem(403, "not from here", "the playground answers to this machine only", "use it where it runs")
    host = request.headers.get("host", "")
    if _without_port(host) not in _NAMES:
        raise Problem(
            421, "wrong host", "the playground has another name", "open it as http://127.0.0.1:PORT/playground/"
        )
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{host}":
        raise Problem(403, "wrong origin", "a page from elsewhere asked", "use the playground's own page")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
