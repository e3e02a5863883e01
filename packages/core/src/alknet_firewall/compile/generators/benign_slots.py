"""Slots of the benign phrase banks: shared words, values made on the fly, and repeated parts."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from alknet_firewall.compile.generators.base import phrases

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Made(Sequence[str]):
    """A sequence too long to write down: item `i` is made from a generator seeded with `i`."""

    def __init__(self, make: Callable[[random.Random], str]) -> None:
        """Stores `make`, which turns a seeded generator into one item."""
        self._make = make

    def __len__(self) -> int:
        """The number of seeds that `fill` draws from."""
        return 2**31 - 1

    def __getitem__(self, index: Any) -> Any:
        """Makes item `index`; the same index gives the same item."""
        return self._make(random.Random(int(index)))


def repeated(spec: Mapping[str, Any], slots: Mapping[str, Sequence[str]]) -> Made:
    """A slot that joins several different choices of another slot.

    Args:
        spec: `of` (the other slot), `min` and `max` (how many), `sep` (default newline), `mark` (put before
            each choice; `%d` in it becomes its number).
        slots: Where the other slot is found.
    """
    choices = slots[spec["of"]]

    def make(rnd: random.Random) -> str:
        wanted = rnd.randint(spec["min"], spec["max"])
        if isinstance(choices, Made):
            parts = [choices[rnd.randrange(len(choices))] for _ in range(wanted)]
        else:  # without replacement; when all are used up, only those whose slots make them differ come back
            parts = rnd.sample(list(choices), min(len(choices), wanted))
            variable = [choice for choice in choices if "{" in choice]
            while variable and len(parts) < wanted:
                parts.append(rnd.choice(variable))
        mark = spec.get("mark", "")
        marks = (mark.replace("%d", str(number)) for number in range(1, len(parts) + 1))
        return str(spec.get("sep", "\n")).join(map(str.__add__, marks, parts))

    return Made(make)


def _digits(count: int) -> Callable[[random.Random], str]:
    return lambda rnd: str(rnd.randint(10 ** (count - 1), 10**count - 1))


def _hex(count: int) -> Callable[[random.Random], str]:
    return lambda rnd: f"{rnd.getrandbits(4 * count):0{count}x}"


def _base64(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda rnd: base64.b64encode(rnd.randbytes(rnd.randint(low, high))).decode()


def _address(rnd: random.Random) -> str:
    prefix = rnd.choice(("10.0", "10.12", "192.168", "172.16", "203.0", "198.51", "185.220", "91.134"))
    return f"{prefix}.{rnd.randint(0, 255)}.{rnd.randint(1, 254)}"


def _clock(rnd: random.Random) -> str:
    return f"{rnd.randint(0, 23):02d}:{rnd.randint(0, 59):02d}"


def _date(rnd: random.Random) -> str:
    return f"{rnd.randint(2018, 2026)}-{rnd.randint(1, 12):02d}-{rnd.randint(1, 28):02d}"


def _day(rnd: random.Random) -> str:
    return f"{rnd.randint(1, 28)} {rnd.choice(_MONTHS)} {rnd.randint(2018, 2026)}"


def _iso(rnd: random.Random) -> str:
    return f"{_date(rnd)}T{_clock(rnd)}:{rnd.randint(0, 59):02d}Z"


def _syslog(rnd: random.Random) -> str:
    return f"{rnd.choice(_MONTHS)} {rnd.randint(1, 28):2d} {_clock(rnd)}:{rnd.randint(0, 59):02d}"


def _apache(rnd: random.Random) -> str:
    clock = f"{_clock(rnd)}:{rnd.randint(0, 59):02d}"
    return f"{rnd.randint(1, 28):02d}/{rnd.choice(_MONTHS)}/{rnd.randint(2019, 2026)}:{clock} +0000"


def _phone(rnd: random.Random) -> str:
    return f"+{rnd.randint(1, 98)} {rnd.randint(100, 999)} {rnd.randint(100, 999)} {rnd.randint(1000, 9999)}"


def _stamp(rnd: random.Random) -> str:
    return f"{_date(rnd).replace('-', '')}T{rnd.randint(7, 20):02d}3000"


def _version(rnd: random.Random) -> str:
    return f"{rnd.randint(0, 12)}.{rnd.randint(0, 30)}.{rnd.randint(0, 19)}"


def _jwt(rnd: random.Random) -> str:
    claims = f'{{"sub":"{rnd.randint(1000, 99999)}","iat":{rnd.randint(10**9, 2 * 10**9)}}}'
    body = base64.urlsafe_b64encode(claims.encode())
    sign = base64.urlsafe_b64encode(rnd.randbytes(32)).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{body.decode().rstrip('=')}.{sign}"


def _hexdump(rnd: random.Random) -> str:
    start = rnd.randrange(0, 2**16, 16)
    lines = []
    for number in range(rnd.randint(6, 20)):
        data = bytes(rnd.choice(b"abcdefgh ./:0123\x00\x01\xff\x7f\x80") for _ in range(16))
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
        lines.append(f"{start + 16 * number:08x}  {data.hex(' ')}  |{shown}|")
    return "\n".join(lines)


MADE: dict[str, Made] = {
    name: Made(make)
    for name, make in {
        "d": lambda rnd: str(rnd.randint(2, 9)),
        "dd": _digits(2),
        "ddd": _digits(3),
        "dddd": _digits(4),
        "yy": lambda rnd: str(rnd.randint(10, 26)),
        "code": _digits(6),
        "number": _digits(8),
        "epoch": lambda rnd: str(rnd.randint(1_500_000_000, 1_790_000_000)),
        "price": lambda rnd: f"{rnd.randint(1, 900)}.{rnd.randint(0, 99):02d}",
        "percent": lambda rnd: f"{rnd.randint(1, 98)}.{rnd.randint(0, 9)}",
        "fraction": lambda rnd: f"{rnd.random():.3f}",
        "ip": _address,
        "mac": lambda rnd: rnd.randbytes(6).hex(":"),
        "port": lambda rnd: str(
            rnd.choice((22, 53, 80, 443, 3306, 5432, 6379, 8080, 9200, rnd.randint(1024, 65535)))
        ),
        "uuid": lambda rnd: str(uuid.UUID(int=rnd.getrandbits(128), version=4)),
        "hexs": _hex(8),
        "hexm": _hex(16),
        "hexl": _hex(32),
        "sha": _hex(40),
        "shal": _hex(64),
        "blob": _base64(20, 60),
        "bigblob": _base64(200, 700),
        "jwt": _jwt,
        "hexdump": _hexdump,
        "clock": _clock,
        "date": _date,
        "day": _day,
        "iso": _iso,
        "syslog": _syslog,
        "apache": _apache,
        "stamp": _stamp,
        "version": _version,
        "phone": _phone,
        "latitude": lambda rnd: f"{rnd.uniform(-60, 60):.4f}",
    }.items()
}


@lru_cache
def shared() -> dict[str, Sequence[str]]:
    """Slots that every bank may use: the words of `benign_slots.toml`, and `MADE`."""
    return {**phrases("benign_slots"), **MADE}


def with_repeats(
    own: Mapping[str, Any], repeats: Mapping[str, Mapping[str, Any]]
) -> dict[str, Sequence[str]]:
    """The shared slots, a bank's `own` over them, and its `repeats`, of which a later may use an earlier."""
    slots = {**shared(), **own}
    for name, spec in repeats.items():
        slots[name] = repeated(spec, slots)
    return slots
