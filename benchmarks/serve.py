"""The server under load: 64 connections for a while, beside as many callers of `screen_async` in one process.

    python benchmarks/serve.py [--seconds 10] [--connections 64] [--workers 1]

A server process of its own listens on 127.0.0.1. Each connection sends a text of 33 to 96 tokens, and the next one when
it has the answer; an answer counts if it has status 200 and is the verdict on its own text: number of tokens, action,
and score within 0.02. Before and after it, callers in this process do the same without a server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # the repository, not this folder: profile.py here would hide Python's own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from alknet_firewall import Firewall, Verdict
from benchmarks.harness.machine import describe, load
from benchmarks.harness.report import Goal, figure, goals, heading, skip, table
from benchmarks.harness.texts import backend_of, open_firewall, text_of

_LENGTHS = range(33, 97)  # tokens; each length once, so that answers cannot be mistaken
_CLOSE = 0.02  # of scores: rounding differs with the batch
_PATIENCE = 120.0  # s until a server has to be ready
_PROGRAM = "from alknet_firewall.cli import main; main()"
Ask = Callable[[str], Awaitable["dict[str, Any] | None"]]


@dataclass(frozen=True)
class Load:
    """What some callers got.

    Attributes:
        ms: How long each answer took, (answers,).
        seconds: From the first request to the last answer.
        errors: Answers that are missing, or not 200.
        mistaken: Answers that are not those to their text.
    """

    ms: np.ndarray[tuple[int], np.dtype[np.float64]]
    seconds: float
    errors: int
    mistaken: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.ms) / self.seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of each model (2)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        skip("the server", f'{error}; pip install "alknet-firewall[serve]"')
        return
    describe(["fastapi", "uvicorn", "onnxruntime"], threads=options.threads, seed=options.seed)
    firewall = open_firewall(options.threads)
    texts = [text_of(firewall.engine.detector.tokenizer, n, options.seed + n) for n in _LENGTHS]
    alone = [firewall.screen(text) for text in texts]

    async def in_process() -> Load:
        asks = [_asker(firewall)] * options.connections
        return await loaded(asks, texts, alone, options.seconds)

    found = {"`screen_async`, before": asyncio.run(in_process())}
    with _server(options.workers, options.threads) as port:
        name = f"server, {options.workers} worker{'s' if options.workers > 1 else ''}"
        found[name] = asyncio.run(_served(port, options.connections, texts, alone, options.seconds))
    found["`screen_async`, after"] = asyncio.run(in_process())
    _report(found, name, backend_of(firewall), options.connections)
    print(f"\nAt the end: {load()}.")


def _report(found: dict[str, Load], name: str, backend: str, connections: int) -> None:
    heading(f"{connections} callers, {backend}")
    own = [load for label, load in found.items() if label != name]
    rate = float(np.mean([load.rate for load in own]))
    p50, p99 = (float(np.mean([np.quantile(load.ms, q) for load in own])) for q in (0.5, 0.99))
    rows = []
    for label, one in found.items():
        half, most = np.quantile(one.ms, (0.5, 0.99))
        rows.append([
            label, figure(one.rate), f"{one.rate / rate:.2f}", figure(half), f"{half / p50:.2f}", figure(most),
            f"{most / p99:.2f}", str(len(one.ms)), str(one.errors), str(one.mistaken),
        ])  # fmt: skip
    columns = [
        "",
        "texts a second",
        "ratio",
        "p50, ms",
        "ratio",
        "p99, ms",
        "ratio",
        "answers",
        "errors",
        "mistaken",
    ]
    table(columns, rows)
    goals([Goal("errors and mistaken answers", float(found[name].errors + found[name].mistaken), 0)])


async def loaded(asks: Sequence[Ask], texts: Sequence[str], alone: Sequence[Verdict], seconds: float) -> Load:
    """Has callers ask for a while, each again when it has its answer."""
    ms: list[float] = []
    errors = mistaken = 0
    start = time.perf_counter()

    async def caller(number: int, ask: Ask) -> None:
        nonlocal errors, mistaken
        which = number
        while time.perf_counter() - start < seconds:
            which = (which + 7) % len(texts)
            begun = time.perf_counter()
            try:
                told = await ask(texts[which])
            except (OSError, EOFError):  # the connection is gone, and this caller with it
                errors += 1
                return
            ms.append((time.perf_counter() - begun) * 1e3)
            errors += told is None
            mistaken += told is not None and not _same(told, alone[which])

    await asyncio.gather(*(caller(number, ask) for number, ask in enumerate(asks)))
    return Load(np.array(ms), time.perf_counter() - start, errors, mistaken)


def _same(told: dict[str, Any], alone: Verdict) -> bool:
    return bool(
        told["tokens"] == alone.tokens
        and told["action"] == alone.action.value
        and abs(told["score"] - alone.score) < _CLOSE
    )


def _asker(firewall: Firewall) -> Ask:
    async def ask(text: str) -> dict[str, Any] | None:
        return (await firewall.screen_async(text)).to_dict()

    return ask


async def _served(
    port: int, connections: int, texts: Sequence[str], alone: Sequence[Verdict], seconds: float
) -> Load:
    """As `loaded`, over connections that stay open. By hand, as a client's own work would be measured along."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]

    def asker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ask:
        async def ask(text: str) -> dict[str, Any] | None:
            body = json.dumps({"text": text}).encode()
            head = f"POST /v1/screen HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = re.search(r"^content-length: (\d+)\r$", answer, re.MULTILINE)
            content = await reader.readexactly(int(length.group(1)) if length else 0)
            return dict(json.loads(content)) if answer.startswith("http/1.1 200 ") else None

        return ask

    try:
        return await loaded([asker(*one) for one in opened], texts, alone, seconds)
    finally:
        for _, writer in opened:
            writer.close()


@contextlib.contextmanager
def _server(workers: int, threads: int) -> Iterator[int]:
    """A server process; its port."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        settings = Path(folder) / "alknet-firewall.toml"
        settings.write_text(f"threads = {threads}\n")
        command = [sys.executable, "-c", _PROGRAM, "serve", "--port", "0", "--workers", str(workers)]
        with log.open("wb") as file:
            process = subprocess.Popen([*command, "--config", str(settings)], stderr=file, stdout=file)
        try:
            yield _ready(process, log, workers)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path, workers: int) -> int:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        told = log.read_text(encoding="utf-8", errors="replace")
        listens = re.search(r"listening on http://127\.0\.0\.1:(\d+),", told)
        if listens and told.count(": ready: ") >= workers:
            return int(listens.group(1))
        time.sleep(0.1)
    raise RuntimeError(f"the server did not get ready:\n{log.read_text(encoding='utf-8', errors='replace')}")


if __name__ == "__main__":
    main()
