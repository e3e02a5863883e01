"""Headers of safetensors files, looked at before the library reads them.

The library checks sizes and offsets against the file. It does not mind keys that come twice, or a file that is no
regular one; and numpy has no bfloat16.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.files import open_regular, parse_json

METADATA = "__metadata__"
_LONGEST_HEADER = 32 << 20  # bytes; that of a model with 10,000 tensors has 1 MB
_MOST_TENSORS = 1 << 17
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where a tensor lies: its type as safetensors names it, its shape, and its bytes behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the tensors.

    Attributes:
        tensors: By name.
        metadata: Text by key.
        size: Bytes of the header, its length included: offsets of tensors count from here.
    """

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]
    size: int


def parse_header(head: bytes, total: int) -> Header:
    """Reads a header.

    Args:
        head: The first bytes of the file, with all of the header.
        total: Bytes of the file.

    Raises:
        ValueError: It is cut, is no header, or does not fit the file.
    """
    length = _header_length(head, total)
    described = parse_json(head[8 : 8 + length])
    if not isinstance(described, dict) or len(described) > _MOST_TENSORS:
        raise ValueError("the header is no object of tensors")
    metadata = described.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("the metadata is no object of texts")
    size = 8 + length
    tensors = {name: _entry(value, total - size) for name, value in described.items()}
    return Header(tensors, metadata, size)


def read_header(path: Path) -> Header:
    """Reads the header of a file.

    Raises:
        OSError: The file cannot be read, or is no regular one.
        ValueError: As `parse_header`.
    """
    with open_regular(path) as file:
        total = os.fstat(file.fileno()).st_size
        head = file.read(8)
        return parse_header(head + file.read(_header_length(head, total)), total)


def read_bfloat16(path: Path, name: str) -> npt.NDArray[np.float32]:
    """A tensor of bfloat16 as float32: its two bytes are the upper half.

    Raises:
        OSError: The file cannot be read.
        ValueError: As `parse_header`; or there is no such tensor.
    """
    header = read_header(path)
    entry = header.tensors.get(name)
    if entry is None or entry.dtype != "BF16" or entry.end - entry.start != 2 * math.prod(entry.shape):
        raise ValueError(f"there is no bfloat16 tensor {name!r}")
    with open_regular(path) as file:
        file.seek(header.size + entry.start)
        raw = np.frombuffer(file.read(entry.end - entry.start), np.uint16).astype(np.uint32)
    return (raw << 16).view(np.float32).reshape(entry.shape)


def _header_length(head: bytes, total: int) -> int:
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > total - 8:
        raise ValueError("the header is cut")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    return length


def _entry(value: Any, room: int) -> TensorEntry:
    try:
        dtype, shape, (start, end) = value["dtype"], value["shape"], value["data_offsets"]
    except (TypeError, LookupError, ValueError):
        raise ValueError("a tensor is not described") from None
    numbers = [*shape, start, end] if isinstance(shape, list) else [None]
    if not isinstance(dtype, str) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor is described by something else than numbers")
    if len(shape) > _MOST_DIMENSIONS or not start <= end <= room:
        raise ValueError(f"a tensor of {len(shape)} dimensions from {start} to {end} of {room} bytes")
    return TensorEntry(dtype, tuple(shape), start, end)
