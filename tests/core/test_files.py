"""Files that somebody else may have made: bounds, regular files only, JSON and headers without surprises."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from alknet_firewall.files import open_regular, parse_json, printable, read_bounded, told
from alknet_firewall.tensor_files import parse_header, read_bfloat16, read_header


def test_at_most_so_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(OSError, match="too many") as caught:
        read_bounded(path, 4)
    assert told(caught.value) == "5 bytes are too many, at most 4 are read"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes and devices here")
def test_regular_files_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(OSError, match="No such file"):
        open_regular(tmp_path / "none")
    with pytest.raises(ValueError):
        open_regular(Path("a\0b"))


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "NaN", "[Infinity]", "[1e999]", "[-1e999]", "", "{", b"\xff",
     "{}".encode("utf-16"), b"\xef\xbb\xbf{}", b'"\xed\xa0\x80"', "[" * 100_000, "[" * 65 + "]" * 65, "9" * 5000],
)  # fmt: skip
def test_json_that_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_json() -> None:
    deep: Any = 0
    for _ in range(63):
        deep = {"a": [deep]} if isinstance(deep, int) else [deep]
    for value in (None, 1, "x", [], {}, {"a": {"a": [1.5, "x"]}}, deep):
        assert parse_json(json.dumps(value)) == value


def test_foreign_text_in_messages() -> None:
    assert printable("a\x1b[2Jb\u202e\n") == "a\\x1b[2Jb\\u202e\\n"
    assert printable("x" * 500) == "x" * 200 + "..." and printable("größer") == "größer"


CONTENT = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.int64)}, {"k": "v"})


def with_header(header: bytes, length: int | None = None) -> bytes:
    own = int.from_bytes(CONTENT[:8], "little")
    return (len(header) if length is None else length).to_bytes(8, "little") + header + CONTENT[8 + own :]


def test_a_header(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    header = read_header(tmp_path / "file")
    assert header == parse_header(CONTENT, len(CONTENT)) and header.metadata == {"k": "v"}
    assert {name: (one.dtype, one.shape) for name, one in header.tensors.items()} == {"a": ("F32", (2, 3)), "b": ("I64", (2,))}


@pytest.mark.parametrize(
    "header",
    [
        b"", b"[]", b"{", b'{"a": 7}', b'{"a": {}}', b'{"__metadata__": []}', b'{"__metadata__": {"k": 1}}',
        b'{"a": {"dtype": 1, "shape": [], "data_offsets": [0, 4]}}', b'{"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}', b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}', b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 99999]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}', b'{"a": {"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    ],
)  # fmt: skip
def test_headers_that_are_refused(header: bytes) -> None:
    content = with_header(header)
    with pytest.raises(ValueError):
        parse_header(content, len(content))


@pytest.mark.parametrize("length", [0, 1 << 25, 1 << 31, (1 << 63) - 1, (1 << 64) - 1])
def test_lengths_that_are_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(with_header(b"{}", length))
    with pytest.raises(ValueError):
        read_header(tmp_path / "file")
    with pytest.raises(ValueError):
        parse_header(with_header(b"{}", length), 1 << 40)


def bfloat16(shape: list[int], size: int) -> bytes:
    header = json.dumps({"a": {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + (0x3FC0).to_bytes(2, "little") * (size // 2)


def test_bfloat16(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bfloat16([2, 3], 12))
    np.testing.assert_array_equal(read_bfloat16(path, "a"), np.full((2, 3), 1.5, np.float32))
    for name, content in (("b", bfloat16([2, 3], 12)), ("a", bfloat16([2, 4], 12)), ("a", bfloat16([1 << 62, 4], 12)), ("a", CONTENT)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no bfloat16 tensor"):
            read_bfloat16(path, name)
