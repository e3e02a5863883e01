"""Mutations: bytes, numbers in text, JSON values; all by a generator that is given."""

from __future__ import annotations

import copy
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

LARGEST = 1 << 16
"""No input grows beyond this many bytes: parsers are to be tried often, not with much."""

_NUMBERS = (
    0, 1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 4095, 4096, 32767, 32768, 65535, 65536, (1 << 24) - 1, 1 << 24,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
_TEXTS = (
    b"-1", b"0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"1.5", b"18446744073709551616", b"9223372036854775807", b"9" * 400,
    b"null", b"true", b"[]", b"{}", b'""', b'"\\u0000"', b'"\\ud800"', b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b[2J", b"[" * 2000, b'{"a":' * 500,
)  # fmt: skip

_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 64, 255, 1 << 31, 1 << 53, 1 << 64, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"),
    "", "x", "user", "\x00", "\x1b[31m", "\u202e", "\ud800", "x" * 300, "../../etc/passwd", [], {}, [[]], [0] * 100, {"": None},
)  # fmt: skip

Step = Callable[[random.Random, bytearray], None]


def mutated(generator: random.Random, content: bytes, others: Sequence[bytes] = (), most: int = 5) -> bytes:
    """One to `most` changes of the bytes; `others` are what it can be spliced with."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, most)):
        if others and generator.random() < 0.05:
            other = generator.choice(others)
            changed[_place(generator, changed) :] = other[generator.randrange(len(other) + 1) :]
        else:
            generator.choice(_STEPS)(generator, changed)
    return bytes(changed[:LARGEST])


def mutated_json(generator: random.Random, value: Any, most: int = 3) -> Any:
    """A copy of JSON-ready values with one to `most` places changed."""
    changed = copy.deepcopy(value)
    for _ in range(generator.randint(1, most)):
        places = list(_places(changed))
        if not places:
            return odd_value(generator)
        holder, key = generator.choice(places)
        _change_json(generator, holder, key)
    return changed


def odd_value(generator: random.Random) -> Any:
    """Something that a reader may not expect."""
    if generator.random() < 0.1:
        nested: Any = 0
        for _ in range(generator.choice((5, 100, 400))):
            nested = [nested] if generator.random() < 0.5 else {"a": nested}
        return nested
    return copy.deepcopy(generator.choice(_ODD))


def _places(value: Any, depth: int = 0) -> Any:
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield value, key
        if depth < 8:
            yield from _places(one, depth + 1)


def _change_json(generator: random.Random, holder: Any, key: Any) -> None:
    kind = generator.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[generator.choice(("", "a", str(key) * 2, "\x1b", "\ud800", "__class__"))] = holder.pop(key)
    elif kind == 2 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder) * generator.choice((1, 2, 10)))
    elif kind == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
        holder[key] = generator.choice((holder[key] + 1, -holder[key], holder[key] * 2, *_NUMBERS))
    elif kind == 4 and isinstance(holder[key], str):
        holder[key] = mutated(generator, holder[key].encode("utf-8", "replace")).decode("utf-8", "replace")[:2000]
    else:
        holder[key] = odd_value(generator)


def _place(generator: random.Random, content: bytearray) -> int:
    # Half of them near the beginning: there lie the headers.
    length = len(content)
    return generator.randrange(min(length, 64) + 1) if generator.random() < 0.5 else generator.randrange(length + 1)


def _flip(generator: random.Random, content: bytearray) -> None:
    if content:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)


def _byte(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    content[place : place + 1] = bytes([generator.choice((0, 1, 127, 128, 255, generator.randrange(256)))])


def _cut(generator: random.Random, content: bytearray) -> None:
    del content[generator.randrange(len(content) + 1) :]


def _remove(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    del content[place : place + generator.choice((1, 2, 4, 8, 16, 100))]


def _repeat(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    block = bytes(content[place : place + generator.choice((1, 4, 16, 64, 256))])
    content[place:place] = block * generator.choice((1, 2, 8, 64))
    del content[LARGEST:]


def _number(generator: random.Random, content: bytearray) -> None:
    place, width = _place(generator, content), generator.choice((1, 2, 4, 8))
    number = generator.choice(_NUMBERS) & ((1 << 8 * width) - 1)
    content[place : place + width] = number.to_bytes(width, generator.choice(("little", "big")))


def _real(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    raw = struct.pack("<d", generator.choice((float("nan"), float("inf"), -0.0, 1e308, 5e-324)))
    raw = raw if generator.random() < 0.5 else raw[-4:]
    content[place : place + len(raw)] = raw


def _text(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    end = place + generator.choice((0, 1, 4))
    content[place:end] = generator.choice(_TEXTS)


def _digits(generator: random.Random, content: bytearray) -> None:
    """A number that is written out becomes another one."""
    start = generator.randrange(len(content) + 1)
    for place in range(start, min(start + 200, len(content))):
        if 48 <= content[place] <= 57:
            end = place
            while end < len(content) and 48 <= content[end] <= 57:
                end += 1
            content[place:end] = generator.choice((str(generator.choice(_NUMBERS)).encode(), generator.choice(_TEXTS[:10])))
            return


def _random_bytes(generator: random.Random, content: bytearray) -> None:
    place = _place(generator, content)
    content[place:place] = generator.randbytes(generator.choice((1, 3, 8, 40)))


_STEPS: tuple[Step, ...] = (
    _flip, _flip, _flip, _byte, _byte, _cut, _remove, _repeat, _number, _number, _real, _text, _text, _digits, _digits, _random_bytes,
)  # fmt: skip
