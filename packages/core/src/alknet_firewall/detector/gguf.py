"""Reading GGUF files: metadata and tensors, every size and offset checked before anything is allocated.

The format is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Only what a detector needs is
read: the element types in `_DEQUANTISE`, little-endian files of version 2 or 3. The file is memory-mapped, so tensors
that are never asked for are never read. What is read while texts are screened is held in memory (`GgufFile.hold`): a
file that is changed or cut meanwhile must not change verdicts, or end the process.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alknet_firewall.errors import WeightsError
from alknet_firewall.files import open_regular, printable, told

_MAGIC = b"GGUF"
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_MAX_ITEMS = 1 << 22  # keys, tensors and items of arrays in all: a vocabulary of 256,000 with merges has 1,000,000
_LONGEST_NAME = 512  # bytes of a key, or of the name of a tensor
_MAX_DIMENSIONS = 4


@dataclass(frozen=True, slots=True)
class _TensorInfo:
    shape: tuple[int, ...]  # row-major: the slowest dimension first
    kind: int
    offset: int  # from the start of the file


class GgufFile:
    """A GGUF file, mapped into memory.

    Attributes:
        path: The file.
        metadata: Its key/value pairs.
    """

    def __init__(self, path: Path) -> None:
        """Maps `path` and reads its header.

        Raises:
            WeightsError: The file cannot be read, is not GGUF, or is damaged.
        """
        self.path = path
        try:
            with open_regular(path) as file:
                self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path}: cannot be read ({told(error)})") from error
        self.metadata: dict[str, Any] = {}
        self._tensors: dict[str, _TensorInfo] = {}
        self._held: dict[str, tuple[int, npt.NDArray[np.uint8]]] = {}  # where in the file, and the bytes
        self._items = 0
        try:
            self._read_header()
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise self._damaged(printable(str(error))) from error

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """The names of all tensors, in file order."""
        return tuple(self._tensors)

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """The tensor `name`, de-quantised to float32, row-major.

        Raises:
            WeightsError: There is no such tensor, it runs past the end of the file, or its type is not supported.
        """
        raw, kind, shape = self._raw(name)
        return kind.decode(raw).reshape(shape)

    def rows(self, name: str, which: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Some rows of the matrix `name`, de-quantised to float32, (len(which), columns); no other row is read.

        Raises:
            WeightsError: As `tensor`; or it is no matrix of whole blocks a row, or has no such row.
        """
        raw, kind, shape = self._raw(name)
        if len(shape) != 2 or shape[1] % kind.block:
            raise self._damaged(f"tensor {name!r} of shape {shape} cannot be read by rows")
        if which.size and not 0 <= int(which.min()) <= int(which.max()) < shape[0]:
            raise WeightsError(f"{self.path}: row {int(which.max())} asked of {name!r}, which has {shape[0]}")
        blocks = raw.reshape(shape[0], -1, kind.bytes)[which]
        return kind.decode(blocks.reshape(-1, kind.bytes)).reshape(len(which), shape[1])

    def hold(self, name: str) -> None:
        """Copies a tensor into memory, as it is stored: from now on it is read from there.

        Raises:
            WeightsError: As `tensor`.
        """
        raw, _, _ = self._raw(name)
        self._held[name] = (self._tensors[name].offset, raw.copy())

    def sha256(self) -> str:
        """SHA-256 of the file, as hex digits; of a tensor that is held, of the bytes that are held."""
        total, position = hashlib.sha256(), 0
        for start, raw in sorted(self._held.values(), key=lambda held: held[0]):
            total.update(self._data[position:start])
            total.update(raw.data)
            position = start + raw.nbytes
        total.update(self._data[position:])
        return total.hexdigest()

    def _raw(self, name: str) -> tuple[npt.NDArray[np.uint8], _ElementType, tuple[int, ...]]:
        info = self._tensors.get(name)
        if info is None:
            raise WeightsError(f"{self.path}: has no tensor {name!r}")
        if info.kind not in _DEQUANTISE:
            known = ", ".join(kind.name for kind in _DEQUANTISE.values())
            raise WeightsError(
                f"{self.path}: tensor {name!r} has element type {info.kind}; readable are {known}"
            )
        kind = _DEQUANTISE[info.kind]
        count = int(np.prod(info.shape, dtype=object))
        if not count or count % kind.block:
            raise self._damaged(f"tensor {name!r} of {count} values is no multiple of {kind.block}")
        size = count // kind.block * kind.bytes
        if info.offset + size > len(self._data):
            raise self._damaged(
                f"tensor {name!r} ends {info.offset + size - len(self._data)} bytes past its end"
            )
        if name in self._held:
            return self._held[name][1], kind, info.shape
        return np.frombuffer(self._data, np.uint8, size, info.offset).reshape(-1, kind.bytes), kind, info.shape

    def _damaged(self, why: str) -> WeightsError:
        return WeightsError(f"{self.path}: damaged or cut GGUF file ({why}); fetch it again")

    def _read_header(self) -> None:
        if bytes(self._data[:4]) != _MAGIC:
            raise WeightsError(f"{self.path}: not a GGUF file (it starts with {bytes(self._data[:4])!r})")
        version, tensors, pairs = struct.unpack_from("<IQQ", self._data, 4)
        if version not in (2, 3):
            raise WeightsError(f"{self.path}: GGUF version {version}; readable are 2 and 3")
        position = 24
        self._count(tensors + pairs, 4)
        for _ in range(pairs):
            key, position = self._name(position, self.metadata)
            (kind,) = struct.unpack_from("<I", self._data, position)
            self.metadata[key], position = self._value(kind, position + 4)
        infos: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for _ in range(tensors):
            name, position = self._name(position, infos)
            (n_dimensions,) = struct.unpack_from("<I", self._data, position)
            if n_dimensions > _MAX_DIMENSIONS:
                raise self._damaged(f"tensor {name!r} of {n_dimensions} dimensions")
            *shape, kind, offset = struct.unpack_from(f"<{n_dimensions}QIQ", self._data, position + 4)
            position += 4 + 8 * n_dimensions + 12
            infos[name] = (tuple(reversed(shape)), kind, offset)
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0:
            raise self._damaged(f"alignment {alignment!r}")
        start = -(-position // alignment) * alignment
        self._tensors = {name: _TensorInfo(shape, kind, start + at) for name, (shape, kind, at) in infos.items()}

    def _name(self, position: int, taken: Collection[str]) -> tuple[str, int]:
        """A key, or the name of a tensor: of two that are equal it could not be said which is meant."""
        name, end = self._string(position)
        if name in taken or end - position - 8 > _LONGEST_NAME:
            raise self._damaged(f"the name at {position} comes twice, or is too long")
        return name, end

    def _count(self, items: int, position: int) -> None:
        self._items += items
        if self._items > _MAX_ITEMS:
            raise self._damaged(f"{items} items at {position}")

    def _string(self, position: int) -> tuple[str, int]:
        [text], end = self._strings(1, position)
        return text, end

    def _strings(self, count: int, position: int) -> tuple[list[str], int]:
        """Strings one behind the other, and where they end. A vocabulary has 100,000: nothing is looked up twice."""
        data, size, length_at = self._data, len(self._data), struct.Struct("<Q").unpack_from
        items: list[str] = []
        for _ in range(count):
            start = position + 8
            position = start + length_at(data, position)[0]
            if position > size:
                raise self._damaged(f"a string of {position - start} bytes at {start - 8}")
            items.append(str(data[start:position], "utf-8"))
        return items, position

    def _value(self, kind: int, position: int) -> tuple[Any, int]:
        if kind in _SCALARS:
            (value,) = struct.unpack_from(_SCALARS[kind], self._data, position)
            return value, position + struct.calcsize(_SCALARS[kind])
        if kind == _STRING:
            return self._string(position)
        if kind != _ARRAY:
            raise self._damaged(f"value type {kind} at {position}")
        item_kind, count = struct.unpack_from("<IQ", self._data, position)
        position += 12
        self._count(count, position)
        if item_kind in _SCALARS:  # fixed size: checked and read in one piece
            dtype = np.dtype(_SCALARS[item_kind])
            end = position + count * dtype.itemsize
            if end > len(self._data):
                raise self._damaged(f"an array of {count} items at {position}")
            return np.frombuffer(self._data, dtype, count, position).tolist(), end
        if item_kind != _STRING:
            raise self._damaged(f"an array of value type {item_kind} at {position}")
        return self._strings(count, position)


@dataclass(frozen=True, slots=True)
class _ElementType:
    name: str
    block: int  # values a block
    bytes: int  # bytes a block
    decode: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def _halves(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _f32(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(raw).view(np.float32).copy()


def _bf16(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return (np.ascontiguousarray(raw).view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _q8_0(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:  # scale, 32 signed bytes
    return _halves(raw[:, :2]) * np.ascontiguousarray(raw[:, 2:]).view(np.int8)


def _nibbles(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:  # the low halves come first
    return np.concatenate([raw & 15, raw >> 4], axis=1)


def _q4_0(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:  # scale, 32 nibbles around 8
    return _halves(raw[:, :2]) * (_nibbles(raw[:, 2:]).astype(np.int8) - 8)


def _q4_1(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:  # scale, minimum, 32 nibbles
    return _halves(raw[:, :2]) * _nibbles(raw[:, 4:]) + _halves(raw[:, 2:4])


_DEQUANTISE = {
    0: _ElementType("F32", 1, 4, _f32),
    1: _ElementType("F16", 1, 2, _halves),
    2: _ElementType("Q4_0", 32, 18, _q4_0),
    3: _ElementType("Q4_1", 32, 20, _q4_1),
    8: _ElementType("Q8_0", 32, 34, _q8_0),
    30: _ElementType("BF16", 1, 2, _bf16),
}
