"""What the tests of the server share: the application in this process, and a real server in one of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.app import create_app
from alknet_firewall.serve.settings import ServeSettings

ATTACK = "zzzz zzzz zzzz zzzz zzzz"
BENIGN = "hello there"
PROGRAM = "from alknet_firewall.cli import main; main()"
KEY = "a-key-that-is-long-enough"


@contextmanager
def client(firewall: Firewall, **settings: Any) -> Iterator[TestClient]:
    """A client of the application, whose lifespan has begun, and whose model is loaded."""
    with TestClient(create_app(firewall, ServeSettings(**settings)), raise_server_exceptions=True) as own:
        until(lambda: own.get("/readyz").status_code == 200)
        yield own


def until(done: Any, seconds: float = 60) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@dataclass(frozen=True)
class Server:
    """A server process.

    Attributes:
        process: The one that was started: the supervisor, if there are several workers.
        url: Where it listens; of a unix socket the path.
        log: What it writes to standard error.
    """

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self, **options: Any) -> httpx.Client:
        if not self.url.startswith("http"):
            return httpx.Client(
                transport=httpx.HTTPTransport(uds=self.url), base_url="http://localhost", **options
            )
        return httpx.Client(base_url=self.url, **options)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with self.client() as asking:
            return total(asking.get("/metrics").text, name)


@contextmanager
def server(settings: Path, folder: Path, *arguments: str, env: Mapping[str, str] = {}) -> Iterator[Server]:
    """A server on 127.0.0.1, ready; ended at the end, by force if it must be."""
    log = folder / "server.log"
    command = [sys.executable, "-c", PROGRAM, "serve", "--config", str(settings), "--port", "0", *arguments]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, stdout=file, env={**os.environ, **env}, cwd=folder)
    try:
        found: list[str] = []

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            found[:] = re.findall(r"listening on (\S+),", log.read_text())
            return bool(found)

        until(listens)
        own = Server(process, found[0], log)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with own.client() as asking:
                    return asking.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        until(ready)
        yield own
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def total(page: str, name: str) -> float:
    """The sum of a metric of Prometheus over its labels."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", page, re.MULTILINE))


def events(body: str) -> list[dict[str, Any]]:
    """The events of a stream, by SSE."""
    return [
        json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")
    ]
