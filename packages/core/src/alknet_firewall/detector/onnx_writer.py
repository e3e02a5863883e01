"""Writes ONNX files: the few messages of the format that a graph of ours needs.

ONNX is Protocol Buffers (https://protobuf.dev/programming-guides/encoding): a message is a row of fields, each a number
that says which one it is and how its value is stored, and the value. Field numbers are those of `onnx.proto`
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR version 8). The package `onnx` would be a sixth of the
installation for these hundred lines; the tests check what is written here with it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

OPSET = 17
_IR_VERSION = 8
_FLOAT = 1
_TYPES = {"float32": _FLOAT, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_AN_INT, _INTS = 2, 7  # kinds of attributes

Attribute = int | Sequence[int]
Dimensions = tuple[int | str, ...]
"""Sizes of an array; those with a name are not known beforehand."""


class GraphWriter:
    """Nodes and constants; every node is named after what it computes."""

    def __init__(self) -> None:
        """Starts empty."""
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """Adds a constant, unless there is one of that name; returns the name."""
        if name not in self._constants:  # shared by all blocks
            array = np.asarray(value, order="C")
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            dimensions = b"".join(_integer(1, size) for size in array.shape)
            kind = _integer(2, _TYPES[array.dtype.name])
            self._constants[name] = dimensions + kind + _text(8, name) + _bytes(9, little.tobytes())
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """Adds a node with one output; returns its name."""
        return self.split(operator, inputs, [name], **attributes)[0]

    def split(
        self, operator: str, inputs: Sequence[str], names: Sequence[str], **attributes: Attribute
    ) -> Sequence[str]:
        """Adds a node with several outputs; returns their names."""
        ends = b"".join(_text(1, each) for each in inputs) + b"".join(_text(2, each) for each in names)
        self._nodes.append(ends + _text(3, names[0]) + _text(4, operator) + _attributes(attributes))
        return names

    def to_float(self, values: str, name: str) -> str:
        """Adds a conversion to float32; returns its name."""
        return self.add("Cast", [values], name, to=_FLOAT)

    def model(self, inputs: Mapping[str, Dimensions], outputs: Mapping[str, Dimensions]) -> bytes:
        """The file; inputs and outputs are float32, of the dimensions given."""
        graph = b"".join(
            [
                *(_bytes(1, node) for node in self._nodes),
                _text(2, "detector"),
                *(_bytes(5, constant) for constant in self._constants.values()),
                *(_bytes(11, _text(1, name) + _bytes(2, _kind(shape))) for name, shape in inputs.items()),
                *(_bytes(12, _text(1, name) + _bytes(2, _kind(shape))) for name, shape in outputs.items()),
            ]
        )
        operators = _text(1, "") + _integer(2, OPSET)
        return b"".join(
            [_integer(1, _IR_VERSION), _text(2, "alknet-firewall"), _bytes(7, graph), _bytes(8, operators)]
        )


def _kind(dimensions: Dimensions) -> bytes:
    """The type of a float32 array."""
    written = [_text(2, size) if isinstance(size, str) else _integer(1, size) for size in dimensions]
    shape = b"".join(_bytes(1, dimension) for dimension in written)
    return _bytes(1, _integer(1, _FLOAT) + _bytes(2, shape))


def _attributes(attributes: Mapping[str, Attribute]) -> bytes:
    written = []
    for name, value in attributes.items():
        if isinstance(value, int):
            stored = _integer(3, value) + _integer(20, _AN_INT)
        else:
            stored = b"".join(_integer(8, each) for each in value) + _integer(20, _INTS)
        written.append(_bytes(5, _text(1, name) + stored))
    return b"".join(written)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    left = value & (1 << 64) - 1  # negative numbers in two's complement of 64 bits
    parts = []
    while True:
        low, left = left & 0x7F, left >> 7
        parts.append(low | 0x80 if left else low)
        if not left:
            return struct.pack(f"{len(parts)}B", *parts)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
