"""Short pieces of harmless documents, in whatever languages there are: not every short text is an order.

Without them a sentence by itself, above all one that is not English, is rarer among benign documents and tool results
than among attacks, and alarms for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.rows import Row

_UNIT = re.compile(r"[^\n.!?\u3002\uff01\uff1f]{12,}[.!?\u3002\uff01\uff1f]?")  # a sentence, or a line without an end
_MOST_UNITS = 3
_TRIES = 50  # draws for one row, before the pool is taken to have nothing new


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields one to three neighbouring sentences or lines of benign documents, as documents and as tool results.

    Raises:
        LookupError: The pool has no documents, or no new excerpt.
    """
    seen: set[str] = set()
    for number in range(count):
        for _ in range(_TRIES):
            carrier = pool.carriers("document", rng)
            units = [unit.strip() for unit in _UNIT.findall(carrier.text)]
            size = int(rng.integers(1, _MOST_UNITS + 1))
            if len(units) >= size:
                first = int(rng.integers(len(units) - size + 1))
                text = " ".join(units[first : first + size])
                if text not in seen:
                    break
        else:
            raise LookupError("the benign documents at hand hold no further excerpts")
        seen.add(text)
        channel = ("document", "tool")[number % 2]
        group = carrier.gid or carrier.source
        yield Row(text, "benign", f"gen_excerpts_{channel}", channel, gid=group, lang=carrier.lang)
