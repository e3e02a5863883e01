"""Files in the user's cache: what is read back is what was made, or it is made again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from alknet_firewall.detector.cache import cached, cached_file

CONTENT = b"a graph " * 1000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))
    return tmp_path / "graphs"


class Maker:
    """Makes content, and counts how often."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.times = content, 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.content


def test_a_file_holds_just_the_content_and_is_made_once(folder: Path) -> None:
    make = Maker()
    path = cached_file("graphs", "one", make, ".onnx")
    assert isinstance(path, Path) and path.parent == folder
    assert path.name == sha256(CONTENT).hexdigest() + ".onnx" and path.read_bytes() == CONTENT
    assert cached_file("graphs", "one", make, ".onnx") == path and make.times == 1
    assert (
        cached_file("graphs", "two", make, ".onnx") == path and make.times == 2
    )  # another note of the same file
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:-1], lambda c: c + b"!", lambda c: bytes(len(c)), None], ids=str
)
@pytest.mark.parametrize("which", ["note", "file"])
def test_what_is_damaged_or_gone_is_made_again(
    folder: Path, which: str, damage: Callable[[bytes], bytes] | None, caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()
    path = cached_file("graphs", "one", make, ".onnx")
    [damaged] = [each for each in folder.iterdir() if (each == path) == (which == "file")]
    if damage is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damage(damaged.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert cached_file("graphs", "one", make, ".onnx") == path
    assert make.times == 2 and ("damaged" in caplog.text) == (damage is not None)
    assert cached_file("graphs", "one", make, ".onnx") == path and make.times == 2


def test_one_that_changed_has_another_name(folder: Path) -> None:
    first = cached_file("graphs", "one", Maker(), ".onnx")
    assert isinstance(first, Path)
    first.write_bytes(b"damaged")
    second = cached_file("graphs", "one", Maker(b"newer"), ".onnx")
    assert isinstance(second, Path) and second != first and second.read_bytes() == b"newer"


def test_without_a_place_to_write_the_content_itself_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path / "file" / "below"))
    make = Maker()
    assert cached_file("graphs", "one", make) == CONTENT == cached_file("graphs", "one", make)
    assert make.times == 2 and "graphs will be made again at each start" in caplog.text


def test_processes_that_start_at_once(folder: Path) -> None:
    """Each makes something else under the same note: whatever wins, nobody reads a mixture."""
    code = (
        "import sys\n"
        "from alknet_firewall.detector.cache import cached_file\n"
        "for _ in range(20):\n"
        "    path = cached_file('graphs', 'one', lambda: sys.argv[1].encode() * 50_000)\n"
        "    content = path.read_bytes()\n"
        "    assert len(set(content)) == 1 and len(content) == 50_000, len(content)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, letter], stderr=subprocess.PIPE) for letter in "abcd"
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0 and errors == b""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no links and pipes here")
@pytest.mark.parametrize("what", ["link", "pipe", "folder", "everybody's"])
@pytest.mark.parametrize("which", ["note", "file"])
def test_what_may_be_somebody_elses_is_made_again(
    folder: Path, tmp_path: Path, which: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()
    path = cached_file("graphs", "one", make, ".onnx")
    assert isinstance(path, Path)
    [chosen] = [each for each in folder.iterdir() if (each == path) == (which == "file")]
    content = chosen.read_bytes()
    if what == "everybody's":
        chosen.chmod(0o666)
    else:
        chosen.unlink()
        if what == "link":  # even one to the very same bytes: they can change behind our back
            (tmp_path / "elsewhere").write_bytes(content)
            chosen.symlink_to(tmp_path / "elsewhere")
        elif what == "pipe":
            os.mkfifo(chosen)
        else:
            chosen.mkdir()
    with caplog.at_level(logging.WARNING):
        again = cached_file("graphs", "one", make, ".onnx")
    assert make.times == 2 and "is not used" in caplog.text
    if what == "folder":  # nothing can be put in its place
        assert again == CONTENT
        return
    assert again == path and path.read_bytes() == CONTENT and not path.is_symlink()
    assert cached_file("graphs", "one", make, ".onnx") == path and make.times == 2
    if what == "link":
        assert (tmp_path / "elsewhere").read_bytes() == content, "what a link leads to is never written to"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("which", ["note", "file", "folder"])
def test_of_another_user(folder: Path, which: str, caplog: pytest.LogCaptureFixture) -> None:
    make = Maker()
    path = cached_file("graphs", "one", make, ".onnx")
    [note] = [each for each in folder.iterdir() if each != path]
    os.chown({"note": note, "file": path, "folder": folder}[which], 12345, -1)
    with caplog.at_level(logging.WARNING):
        again = cached_file("graphs", "one", make, ".onnx")
    assert make.times == 2 and "belongs to another user" in caplog.text
    assert again == (CONTENT if which == "folder" else path)


def test_a_folder_that_everybody_can_write_to(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    make = Maker()
    assert cached_file("graphs", "one", make) == CONTENT and cached("graphs", "two", make) == CONTENT
    assert "everybody can write to it" in caplog.text and not list(folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give folders away")
def test_a_folder_beside_which_another_user_can_put_things(folder: Path) -> None:
    make = Maker()
    cached_file("graphs", "one", make)
    folder.parent.chmod(0o1777)  # as /tmp, where nobody but its owner can rename what belongs to others
    assert isinstance(cached_file("graphs", "one", make), Path) and make.times == 1
    os.chown(folder.parent, 12345, -1)
    assert cached_file("graphs", "one", make) == CONTENT and make.times == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give folders away")
def test_a_folder_that_a_group_can_write_to(folder: Path) -> None:
    make = Maker()
    cached_file("graphs", "one", make)
    folder.chmod(0o770)
    assert isinstance(cached_file("graphs", "one", make), Path) and make.times == 1, "this user's own group"
    os.chown(folder, -1, 12345)
    assert cached_file("graphs", "one", make) == CONTENT and make.times == 2


def test_a_folder_that_leads_out_of_the_cache(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    folder.symlink_to(elsewhere)
    assert cached_file("graphs", "one", Maker()) == CONTENT and not list(elsewhere.iterdir())


def test_a_cache_that_is_a_link_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "link").symlink_to(tmp_path_factory.mktemp("large_disk"))
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path / "link"))
    make = Maker()
    for _ in range(2):
        assert isinstance(cached_file("graphs", "one", make), Path)
    assert make.times == 1
