"""What an attacker can make a text cost: time a character over many families of text, against plain English.

    python benchmarks/worst_inputs.py [--chars N] [--rounds N] [--model tiny|real] [--families WORD ...]

All families have the same number of characters. Time is that of the processor, on all cores together: what an attacker
makes others pay, whatever else runs on the machine. A family that costs more a character either has more tokens, which
the detector must read, or costs more a token: both ratios are printed, and what reading it took beside the detector.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # the repository, not this folder: profile.py here would hide Python's own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from alknet_firewall import Firewall
from alknet_firewall.passages import pieces
from benchmarks.harness.families import FAMILIES
from benchmarks.harness.machine import describe, load
from benchmarks.harness.report import Goal, figure, goals, heading, table
from benchmarks.harness.texts import open_firewall
from tests.tiny import write_firewall

_FIRST = next(iter(FAMILIES))
_WORST = 10
_BOUND = 3.0


@dataclass(frozen=True)
class Cost:
    """What a family costs.

    Attributes:
        name: Of the family.
        seconds: Of `screen`, of the processor.
        text_seconds: Of that, what comes before the detector: normalising, views, tokens.
        read: Tokens that the detector read, in windows and views.
        tokens: Tokens of the text.
        bytes: Of the text in UTF-8.
    """

    name: str
    seconds: float
    text_seconds: float
    read: int
    tokens: int
    bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chars", type=int, default=1024, help="of each text (1024)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is screened (2)")
    parser.add_argument("--model", choices=("tiny", "real"), default="real")
    parser.add_argument(
        "--families", nargs="+", default=[], metavar="WORD", help="only those with one of the words"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    describe(["numpy", "onnxruntime"], threads=options.threads, seed=options.seed)
    chosen = [
        name
        for name in FAMILIES
        if name == _FIRST or not options.families or any(word in name for word in options.families)
    ]
    with tempfile.TemporaryDirectory() as folder:
        tiny = write_firewall(Path(folder)) if options.model == "tiny" else {}
        firewall = open_firewall(options.threads, **tiny)
        costs = measured(firewall, chosen, options.chars, options.rounds, options.seed)
    report(costs, options.chars)
    print(f"\nAt the end: {load()}.")


def measured(firewall: Firewall, names: Sequence[str], chars: int, rounds: int, seed: int) -> list[Cost]:
    """Measures families in turns; texts that were met once before, as tables of characters are filled at first sight."""
    texts = {name: FAMILIES[name](random.Random(f"{seed} {name}"), chars) for name in names}
    tokens = {name: firewall.screen(text, "document").tokens for name, text in texts.items()}
    window, tokenizer = firewall.engine.codebook.window, firewall.engine.detector.tokenizer
    cut = {name: list(pieces(text, tokenizer, window.size, window.overlap)) for name, text in texts.items()}
    screening: dict[str, list[float]] = {name: [] for name in names}
    reading: dict[str, list[float]] = {name: [] for name in names}
    order = random.Random(seed)
    for _ in range(rounds):
        for name in order.sample([*names], len(names)):
            text = texts[name]
            screening[name].append(_worked(lambda text=text: firewall.screen(text, "document")))
            reading[name].append(
                _worked(lambda text=text: [*pieces(text, tokenizer, window.size, window.overlap)])
            )
    return [
        Cost(
            name,
            statistics.median(screening[name]),
            statistics.median(reading[name]),
            sum(len(piece.ids) for piece in cut[name] if not piece.replaced),
            tokens[name],
            len(text.encode("utf-8", "surrogatepass")),
        )
        for name, text in texts.items()
    ]


def _worked(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def report(costs: Sequence[Cost], chars: int) -> None:
    """Prints families, the dearest first, and the goals."""
    plain = costs[0]
    heading(f"Time a character, {len(costs)} families of {chars:,} characters, the dearest first")
    rows = []
    worst = sorted(costs, key=lambda cost: -cost.seconds)
    for place, cost in enumerate(worst, start=1):
        rows.append([
            f"{place}. {cost.name}", f"{cost.seconds / plain.seconds:.2f}", f"{_a_token(cost) / _a_token(plain):.2f}",
            f"{cost.read / plain.read:.2f}", f"{cost.tokens / chars:.2f}", f"{cost.bytes / chars:.2f}",
            figure(cost.seconds * 1e6 / chars), figure(cost.text_seconds * 1e6 / chars),
        ])  # fmt: skip
    table(
        [
            "family", "time, of English", "a token read", "tokens read, of English", "tokens a character",
            "bytes a character", "µs a character", "before the detector",
        ],
        rows,
    )  # fmt: skip
    within = [cost for cost in costs if cost.read <= _BOUND * plain.read]
    goals([
        Goal(f"the {_WORST} dearest families: time a character, of English, the largest", worst[0].seconds / plain.seconds, _BOUND, " ×"),
        Goal("of families with at most 3 times the tokens to read, the largest", max(c.seconds for c in within) / plain.seconds, _BOUND, " ×"),
        Goal("time a token read, of English, the largest (of families with as many tokens as English)",
             max(_a_token(c) for c in costs if c.read >= plain.read) / _a_token(plain), _BOUND, " ×"),
        Goal("time before the detector, of English's whole time, the largest", max(c.text_seconds for c in costs) / plain.seconds, 1.0, " ×"),
    ])  # fmt: skip


def _a_token(cost: Cost) -> float:
    return cost.seconds / max(cost.read, 1)


if __name__ == "__main__":
    main()
