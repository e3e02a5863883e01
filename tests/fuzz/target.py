"""What is fuzzed: the protocol that every target keeps."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One door that hostile bytes come in by.

    Attributes:
        name: Short, `a-z_`; what `--targets` takes and findings are filed under.
        make: Input number i, from a generator that is seeded for it. Must use nothing else that is random, so that an
            input can be made again from (seed, name, i).
        run: Takes one input. Expected refusals are swallowed inside; whatever it raises is a finding. It must be
            quick (under a millisecond is best), keep no state from one input to the next, and leave no files.
        weight: Share of the inputs, relative to other targets; slow targets take less.
        close: Called once when a worker ends; takes away what `run` needs between inputs (folders, for instance).
    """

    name: str
    make: Callable[[random.Random, int], bytes]
    run: Callable[[bytes], None]
    weight: float = 1.0
    close: Callable[[], None] = lambda: None


Factory = Callable[[], Target]
"""Builds a target. What is slow to set up (models, seeds) is set up here, in the worker, once."""


class Finding(Exception):
    """Raised by `run` where nothing was raised but what came out is wrong (a payload passed, a bound was broken)."""


def source(seed: int, name: str, number: int) -> random.Random:
    """The generator for input `number` of the target `name`: always the same for the same three."""
    return random.Random(f"{seed}/{zlib.crc32(name.encode())}/{number}")


def input_of(target: Target, seed: int, number: int) -> bytes:
    """Makes an input (again)."""
    return target.make(source(seed, target.name, number), number)
