"""The container of a codebook: tensors and one JSON document in a safetensors file, under a checksum.

The checksum is SHA-256 over every byte of the file, with its own digits (and those of a signature) read as zeros. So
whatever is damaged is noticed before it is used. It says nothing about who wrote the file: that is what a signature is
for (`signature.py`), which is made over the checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from alknet_firewall.files import parse_json
from alknet_firewall.tensor_files import TensorEntry, parse_header

CHECKSUM, SIGNATURE, SIGNED = "checksum", "signature", "value"
_KEY = "alknet_firewall"
_CHECKSUM_DIGITS, _SIGNATURE_DIGITS = 64, 128
_HEX = frozenset("0123456789abcdef")

Tensors = dict[str, npt.NDArray[Any]]
Sign = Callable[[bytes], bytes]
"""Makes a signature (64 bytes) of a checksum (32 bytes)."""


class Unsealed(ValueError):
    """A container has no checksum, or another one than its bytes."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A container that was opened.

    Attributes:
        metadata: The document, without checksum and signature.
        entries: What the header says of each tensor.
        checksum: Of all bytes; verified.
        signature: What the document says of a signature, None if nothing; not verified.
    """

    metadata: dict[str, Any]
    entries: Mapping[str, TensorEntry]
    checksum: bytes
    signature: Any


def packed(
    tensors: Tensors,
    metadata: Mapping[str, Any],
    signature: Mapping[str, Any] | None = None,
    sign: Sign | None = None,
) -> bytes:
    """Puts a container together; the same content gives the same bytes.

    Args:
        tensors: By name.
        metadata: JSON-ready, without checksum and signature.
        signature: What is said of a signature, without its value; `sign` makes that.
        sign: Signs the checksum.
    """
    digits: dict[str, str] = {CHECKSUM: "0" * _CHECKSUM_DIGITS}
    document: dict[str, Any] = {**metadata, **digits}
    if signature is not None:
        digits[SIGNED] = "0" * _SIGNATURE_DIGITS
        document[SIGNATURE] = {**signature, SIGNED: digits[SIGNED]}
    # One key: safetensors does not keep the order of several, and the same codebook must give the same bytes.
    ordered = {key: np.ascontiguousarray(tensors[key]) for key in sorted(tensors)}
    content = bytearray(save(ordered, {_KEY: json.dumps(document, sort_keys=True, ensure_ascii=False)}))
    places = {name: _only_place(content, f'\\"{name}\\": \\"', value) for name, value in digits.items()}
    checksum = hashlib.sha256(content).digest()
    written = {CHECKSUM: checksum.hex()}
    if sign is not None:
        written[SIGNED] = sign(checksum).hex()
    for name, value in written.items():
        content[places[name] : places[name] + len(value)] = value.encode()
    return bytes(content)


def repacked(content: bytes, signature: Mapping[str, Any] | None = None, sign: Sign | None = None) -> bytes:
    """The same tensors and document under a checksum of their own; whatever checksum or signature there was goes.

    Raises:
        ValueError: It is no container.
        SafetensorError: It is no safetensors file.
    """
    document, _, _ = _document(content)
    kept = {key: value for key, value in document.items() if key not in (CHECKSUM, SIGNATURE)}
    return packed(load(content), kept, signature, sign)


def opened(content: bytes) -> Seal:
    """Opens a container, and verifies its checksum.

    Raises:
        Unsealed: There is no checksum, or the bytes have another one.
        ValueError: It is no container.
    """
    document, entries, size = _document(content)
    told, signature = document.pop(CHECKSUM, None), document.pop(SIGNATURE, None)
    if told is None:
        raise Unsealed("it has no checksum")
    digits = [told]
    if isinstance(signature, dict):
        digits.append(signature.get(SIGNED))
    header = bytearray(content[:size])
    for value, length in zip(digits, (_CHECKSUM_DIGITS, _SIGNATURE_DIGITS)):
        if not isinstance(value, str) or len(value) != length or not _HEX.issuperset(value):
            raise Unsealed("its checksum or signature is garbled")
        place = _only_place(header, "", value)
        header[place : place + length] = b"0" * length
    total = hashlib.sha256(header)
    total.update(memoryview(content)[size:])
    if total.hexdigest() != told:
        raise Unsealed("its bytes are not those that were written: the checksum differs")
    return Seal(document, entries, total.digest(), signature)


def _document(content: bytes) -> tuple[dict[str, Any], Mapping[str, TensorEntry], int]:
    header = parse_header(content, len(content))
    if set(header.metadata) != {_KEY}:
        raise ValueError("it is a safetensors file, but no codebook")
    document = parse_json(header.metadata[_KEY])
    if not isinstance(document, dict):
        raise ValueError("the metadata is not an object")
    json.dumps(document, ensure_ascii=False).encode()  # raises for halves of characters: they cannot be written again
    return document, header.tensors, header.size


def _only_place(content: bytearray, before: str, digits: str) -> int:
    """Where the digits stand: in one place, else it could not be said which of them are read as zeros."""
    wanted = (before + digits).encode()
    place = content.find(wanted)
    if place < 0 or content.find(wanted, place + 1) >= 0:
        raise ValueError("the place of its checksum or signature is not clear")
    return place + len(before.encode())
