"""Serves the application: where it listens, how many processes, what it logs, how it ends."""

from __future__ import annotations

import errno
import inspect
import ipaddress
import logging
import logging.config
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from alknet_firewall.config import FirewallConfig
from alknet_firewall.detector.detector import usable_cores
from alknet_firewall.errors import ConfigError
from alknet_firewall.serve.asgi import create_with
from alknet_firewall.serve.meters import SHARED_FOLDER
from alknet_firewall.serve.settings import ServeSettings

_BACKLOG = 2048
_SOCKET_MODE = 0o660  # the group may talk to it; who else may, a folder's owner can decide
_LOADING = 60  # s without a sign of life after which a worker is replaced


class WithoutPaths(logging.Filter):
    """Drops uvicorn's lines on WebSockets, which tell path and query as the client wrote them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        return "WebSocket %s" not in str(record.msg)


_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}},
    "filters": {"paths": {"()": WithoutPaths}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["paths"]}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": "INFO", "propagate": False}
        for name in ("uvicorn", "alknet_firewall")
    },
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how the server listens.

    Attributes:
        host: Address; without keys a loopback one, unless `open_to_all`.
        port: 0: any that is free; the log says which.
        uds: A unix socket instead of host and port.
        workers: Processes, each with a model of its own.
        grace_seconds: Seconds that requests at work get to be finished when the server ends.
        open_to_all: Whether anybody who can connect may ask.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: Path | None = None
    workers: int = 1
    grace_seconds: int = 30
    open_to_all: bool = False


def serve(config: FirewallConfig, settings: ServeSettings, listen: Listen) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is at work and returns.

    Raises:
        ConfigError: It would be open to a network without a key, or cannot listen there.
    """
    _check(settings, listen)
    if not settings.keys and listen.uds is None and _is_loopback(listen.host):
        settings = replace(settings, local_names_only=True)
    if listen.workers > 1 and config.threads is None:
        # Each would take all cores, and they would wait for each other.
        config = config.model_copy(update={"threads": max(1, usable_cores() // listen.workers)})
    logging.config.dictConfig(_LOGGING)
    with _socket(listen) as listening, _shared_counts(listen.workers):
        server = uvicorn.Config(
            partial(create_with, config, settings),
            factory=True,
            workers=listen.workers,
            lifespan="on",
            log_config=_LOGGING,
            access_log=False,  # it would log paths and queries; `access.py` logs routes
            ws_max_size=settings.max_bytes,
            ws_max_queue=4,
            ws_per_message_deflate=False,  # nothing that comes in small grows in here
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=listen.grace_seconds,
            timeout_worker_healthcheck=_LOADING,
        )
        where = listen.uds or "http://{}:{}".format(*listening.getsockname()[:2])
        _log.info("listening on %s, workers: %d", where, listen.workers)
        with suppress(KeyboardInterrupt):
            if listen.workers > 1:
                _supervise(server, listening)
            else:
                # uvicorn ends with the signal that it was ended by; here the caller goes on, to clean up.
                signal.signal(signal.SIGTERM, lambda *_: None)
                uvicorn.Server(server).run(sockets=[listening])


def _check(settings: ServeSettings, listen: Listen) -> None:
    if settings.keys or listen.open_to_all or listen.uds is not None or _is_loopback(listen.host):
        return
    raise ConfigError(
        f"host {listen.host}: everybody who can connect could ask, as there is no API key. Give --api-key-file, "
        "or --no-key if something in front of the server keeps others out"
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _socket(listen: Listen) -> Iterator[socket.socket]:
    """A socket that listens; its file is removed at the end."""
    try:
        listening = _bound(listen)
    except OSError as error:
        where = listen.uds or f"{listen.host}:{listen.port}"
        raise ConfigError(f"cannot listen on {where}: {error.strerror or error}") from None
    try:
        yield listening
    finally:
        listening.close()
        if listen.uds is not None:
            # Another server may have taken over while this one finished what was at work.
            with suppress(OSError, ConfigError):
                _remove_stale(listen.uds)


def _bound(listen: Listen) -> socket.socket:
    if listen.uds is None:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        return socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
    _remove_stale(listen.uds)
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o777 & ~_SOCKET_MODE)
    try:
        listening.bind(str(listen.uds))
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(mask)
    listening.listen(_BACKLOG)
    return listening


def _remove_stale(path: Path) -> None:
    """Removes the socket of a server that was killed: nobody answers there.

    Raises:
        ConfigError: Somebody does, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path}: there is a file of that name which is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)  # one that has much to do would let us wait
        if asking.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise ConfigError(f"{path}: another server listens there, or it is not ours to ask")
    path.unlink()


@contextmanager
def _shared_counts(workers: int) -> Iterator[None]:
    """A folder in which several workers share what they count; one keeps it in memory."""
    if workers == 1 or SHARED_FOLDER in os.environ:
        yield
        return
    folder = tempfile.mkdtemp(prefix="alknet-firewall-counts-")
    os.environ[SHARED_FOLDER] = folder  # read by prometheus-client when the workers import it
    try:
        yield
    finally:
        del os.environ[SHARED_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)


def _supervise(server: uvicorn.Config, listening: socket.socket) -> None:
    # Older versions of uvicorn want to be told what a worker runs.
    given: dict[str, Any] = {"sockets": [listening]}
    if "target" in inspect.signature(Multiprocess).parameters:
        given["target"] = uvicorn.Server(server).run
    Multiprocess(server, **given).run()
