"""Composed calibration data: attacks and their benign partners, by rule and seed.

What is written here is training material, never a benchmark. Each kind of text is a source of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from alknet_firewall.compile.generators import (
    benign,
    benign_documents,
    excerpts,
    injections,
    jailbreaks,
    lookalikes,
    status,
    summons,
    tasks,
    user_prompts,
    usual,
    world,
    worn,
)
from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.rows import Row

_log = logging.getLogger(__name__)

Generator = Callable[[Pool, np.random.Generator, int], Iterator[Row]]

GENERATORS: Mapping[str, Generator] = {
    "benign": benign.generate,
    "benign_documents": benign_documents.generate,
    "excerpts": excerpts.generate,
    "injections": injections.generate,
    "jailbreaks": jailbreaks.generate,
    "lookalikes": lookalikes.generate,
    "status": status.generate,
    "tasks": tasks.generate,
    "user_prompts": user_prompts.generate,
    "usual": usual.generate,
    "world": world.generate,
    "worn": worn.generate,
    "summons": summons.generate,
}
"""In the order of their rows. A new one comes last: hidden states are kept in that order, and stay."""


def composed_rows(rows: Sequence[Row], counts: Mapping[str, int], seed: int) -> list[Row]:
    """Composes rows from the ones at hand.

    Args:
        rows: Benign ones serve as carriers, harmful ones as what jailbreaks ask for.
        counts: How many rows of each generator.
        seed: The same seed, rows and counts give the same result.

    Returns:
        The composed rows, each with the sources that it borrowed from. Where `rows` lack what a generator needs, or
        enough of it, there are fewer than asked for, and a warning says so.
    """
    pool = Pool(rows)
    composed = []
    for name, generate in GENERATORS.items():
        before: list[str] = []
        own_seed = [
            seed,
            *name.encode(),
        ]  # by name: another generator changes nothing in the rows of this one
        try:
            for row in generate(pool, np.random.default_rng(own_seed), counts.get(name, 0)):
                # An attack and its partner are made in one go: what was drawn for one is in the other, too.
                composed.append(replace(row, borrowed=tuple(sorted({*before, *pool.drawn}))))
                before, pool.drawn = pool.drawn, []
        except (LookupError, RuntimeError) as error:
            _log.warning("fewer rows were composed than asked for: %s: %s", name, error)
    return composed
