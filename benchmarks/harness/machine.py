"""What a figure was measured on: processor, memory, system, versions, threads, load, seed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import alknet_firewall
from alknet_firewall.detector.detector import usable_cores

# Those that decide how fast 8 bits, bfloat16 and float32 are multiplied.
_FEATURES = "avx2 avx_vnni avx512f avx512_vnni avx512_bf16 amx_int8 amx_bf16 asimddp i8mm bf16".split()
_BUSY = 0.5  # load for each core above which times are not those of a quiet machine


def describe(packages: Iterable[str], *, threads: int | None = None, seed: int | None = None) -> None:
    """Prints the machine, the versions of `packages` that are installed, and the settings of a run."""
    told = _processor()
    features = [name for name in _FEATURES if name in told.get("flags", told.get("Features", "")).split()]
    name = told.get("model name", platform.processor() or platform.machine())
    memory = f", {_memory() / 2**30:.0f} GiB of memory" if _memory() else ""
    print(f"- machine: {name} ({' '.join(features) or platform.machine()}), {usable_cores()} cores{memory}")
    versions = [f"{package} {version}" for package in packages if (version := _version(package))]
    own = f"alknet-firewall {alknet_firewall.__version__}, Python {platform.python_version()}, {platform.system()}"
    print(f"- versions: {', '.join([own, *versions])}")
    settings = {"threads": threads, "seed": seed}
    told_settings = [f"{name} {value}" for name, value in settings.items() if value is not None]
    print(f"- {', '.join([*told_settings, load()])}", flush=True)


def load() -> str:
    """The load average of the last minute in words, with a warning where the machine is not quiet."""
    try:
        average = os.getloadavg()[0]
    except (AttributeError, OSError):  # not on Windows
        return "load average unknown"
    busy = average > _BUSY * usable_cores()
    return f"load average {average:.1f}{' (**not quiet**: other programs run beside)' if busy else ''}"


def resident_mb() -> float:
    """Memory of this process that lies in RAM, in MB (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processor() -> dict[str, str]:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:  # not Linux
        return {}
    pairs = (line.split(":", 1) for line in told.split("\n\n")[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
