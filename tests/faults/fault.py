"""What a fault is, to the matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.bench import Bench, Place

Prove = Callable[[Bench, Place], str]


@dataclass(frozen=True)
class Fault:
    """A row of the matrix.

    Attributes:
        name: What goes wrong.
        prove: Makes it happen in a place, and answers in a word what held; raises `Unproven` or `NotHere`.
        bare_only: Why it is tried at the bare doors alone; empty if it is tried everywhere.
    """

    name: str
    prove: Prove
    bare_only: str = ""
