"""Faults of the cache folder: it is never needed, so no answer changes."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alknet_firewall import Firewall, FirewallConfig
from tests.faults.bench import Bench, Place, Unproven
from tests.faults.fault import Fault, Prove

_ENV = "ALKNET_FIREWALL_CACHE"


@contextmanager
def cache(folder: Path) -> Iterator[Path]:
    before = os.environ.get(_ENV)
    os.environ[_ENV] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[_ENV]
        else:
            os.environ[_ENV] = before


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """As on a full disk: every write to a file fails with an `OSError` (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _own(bench: Bench) -> FirewallConfig:
    """Settings of an engine that was never loaded."""
    folder = bench.copy()
    return bench.config(weights=str(folder / "weights"), codebook=str(folder / "codebook.safetensors"))


def _unwritable(bench: Bench, place: Place) -> str:
    config = _own(bench)
    blocked = bench.fresh()
    blocked.write_text("a file where the folder should be")
    with cache(blocked / "cache"):
        bench.check_right(place, config)
    return "right answer"


def _full(bench: Bench, place: Place) -> str:
    bench.send(place, "", bench.config())  # the host itself is loaded, and may have written
    config = _own(bench)
    with cache(bench.fresh()) as folder:
        with no_file_may_grow():
            bench.check_right(place, config)
        left = [path.name for path in folder.rglob("*") if path.is_file()]
        if left:
            raise Unproven(f"{len(left)} files are left behind")
        bench.check_right(place, _own(bench))
        if not any(folder.rglob("*.onnx")):
            raise Unproven("with room again, nothing is kept")
    return "right answer"


def _damaged(damage: Callable[[bytes], bytes]) -> Prove:
    def prove(bench: Bench, place: Place) -> str:
        config = _own(bench)
        with cache(bench.fresh()) as folder:
            Firewall(config).warm_up()
            sound = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for path, content in sound.items():
                path.write_bytes(damage(content))
            bench.check_right(place, config)
            if any(path.read_bytes() != content for path, content in sound.items()):
                raise Unproven("what is damaged stays in the cache")
        return "right answer"

    return prove


def _gone(bench: Bench, place: Place) -> str:
    config = _own(bench)
    with cache(bench.fresh()) as folder:
        bench.check_right(place, config)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        bench.check_right(place, config)
    return "right answer"


def _flip(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 0xFF]) + content[half + 1 :]


FAULTS = [
    Fault("cache folder unwritable", _unwritable),
    Fault("disk full (no file may grow)", _full),
    Fault("cache changed by a byte a file between starts", _damaged(_flip)),
    Fault("cache cut between starts", _damaged(lambda content: content[: len(content) // 2])),
    Fault("cache emptied while running", _gone),
]
