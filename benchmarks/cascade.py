"""What the cascade costs: `screen()` with the bundled codebook, beside the first stage alone and beside no cascade.

    python benchmarks/cascade.py [DATA...]

The same engine four times, taking turns text by text: as shipped, where windows above a band are read on to the next
tap; with that band moved so that a tenth of the windows at hand goes on; with a band that nothing reaches, so that every
window stops at the first tap; without a band, so that every window is read to the last. The texts are benign rows of DATA (by default ../shared/data/calibration, where that is there),
sources in turn: as they are, up to 4,000 characters, and the first 16, 64 and 256 tokens of longer ones.
Without such data, plain English of those lengths, of which hardly a window goes on by itself. Of calibration rows fewer
windows go on than a tenth, as the bundled codebook was fitted to some of them. A time is the mean over texts of the median over passes,
because the few texts that go on are what the mean is about.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

if __name__ == "__main__":  # the repository, not this folder: profile.py here would hide Python's own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from alknet_firewall.compile.rows import BENIGN_LABELS, Row, read_rows
from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.engine import Engine
from benchmarks.harness.machine import describe, load
from benchmarks.harness.report import Goal, figure, goals, heading, skip, table
from benchmarks.harness.texts import backend_of, open_firewall, text_of
from benchmarks.harness.timing import Ratio, interleaved

LENGTHS = (16, 64, 256)
SHARED = Path("../shared/data/calibration")
SHIPPED, TENTH = "as shipped", "a tenth goes on"
FIRST, EVERYTHING = "first stage alone", "everything to the last tap"
_SHARE = 0.1  # of windows
_LONGEST = 4000  # characters
_BOUND = 1.25  # over the first stage alone
_OWN_TEXTS = 8  # where there is no data
_RESAMPLES = 2000
_Given = tuple[str, str]  # a text and its channel


@dataclass(frozen=True)
class Cost:
    """What a set of texts took.

    Attributes:
        ms: By variant, the milliseconds of each text, (n,).
        going_on: Windows that the shipped band sends on.
        windows: All windows.
    """

    ms: dict[str, npt.NDArray[np.float64]]
    going_on: int
    windows: int

    def over(self, own: str, other: str, seed: int = 0) -> Ratio:
        """The mean of one variant over that of another; the interval comes from drawing texts anew."""
        a, b = self.ms[own], self.ms[other]
        drawn = np.random.default_rng(seed).integers(len(a), size=(_RESAMPLES, len(a)))
        low, high = np.quantile(a[drawn].mean(axis=1) / b[drawn].mean(axis=1), (0.025, 0.975))
        return Ratio(float(a.mean() / b.mean()), float(low), float(high))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path, help=f"labelled rows ({SHARED}, if it is there)")
    parser.add_argument("--texts", type=int, default=100, help="of each length (100)")
    parser.add_argument("--passes", type=int, default=3, help="over all texts (3)")
    parser.add_argument("--tokens", nargs="*", type=int, default=LENGTHS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    describe(["numpy", "onnxruntime", "openvino"], threads=options.threads, seed=options.seed)
    firewall = open_firewall(options.threads)
    if firewall.engine.codebook.cascade is None:
        skip("the cascade", "the codebook has none: every window is read to the last tap")
        return
    data = options.data or ([SHARED] if SHARED.is_dir() else [])
    rows = benign_rows(data, options.seed) if data else []
    print(f"- {backend_of(firewall)}, taps {', '.join(map(str, firewall.engine.codebook.taps))}")
    print(f"- {'benign rows, sources in turn' if rows else 'plain English: no labelled rows are given'}")
    found: dict[str, Cost] = {}
    for n in sorted(options.tokens):
        tokenizer = firewall.engine.detector.tokenizer
        texts = heads(rows, tokenizer, n, options.texts) if rows else own_texts(tokenizer, n, options.seed)
        if texts:
            found[f"{n} tokens"] = cost(firewall.engine, texts, options.passes, options.seed)
    if rows:
        texts = [(row.text, row.channel) for row in rows if len(row.text) <= _LONGEST][: options.texts]
        found["as they are"] = cost(firewall.engine, texts, options.passes, options.seed)
    report(found)
    print(f"\nAt the end: {load()}.")


def with_band(engine: Engine, raised: float) -> Engine:
    """The engine with its band raised by so much, in every channel."""
    bands = {channel: band + raised for channel, band in (engine.codebook.cascade or {}).items()}
    return replace(engine, codebook=replace(engine.codebook, cascade=bands))


def above_band(engine: Engine, texts: Sequence[_Given]) -> npt.NDArray[np.float64]:
    """How far the log-odds of each window lie above the band after the first tap, (windows,)."""
    first, bands = with_band(engine, float("inf")), engine.codebook.cascade or {}
    return np.array(
        [
            np.logaddexp.reduce([evidence[name].log_odds for name in engine.codebook.group]) - bands[channel]
            for text, channel in texts
            for evidence in first.windows(text, channel)
        ]
    )


def cost(engine: Engine, texts: Sequence[_Given], passes: int, seed: int) -> Cost:
    """Times the variants on texts and counts the windows that go on."""
    above, count = above_band(engine, texts), len(texts)
    variants = {
        SHIPPED: engine,
        TENTH: with_band(engine, float(np.quantile(above, 1 - _SHARE, method="higher"))),
        FIRST: with_band(engine, float("inf")),
        EVERYTHING: replace(engine, codebook=replace(engine.codebook, cascade=None)),
    }
    calls = {
        name: lambda turn, own=own: own.judge([texts[turn % count][0]], [texts[turn % count][1]])  # type: ignore[misc]
        for name, own in variants.items()
    }
    times = interleaved(calls, seconds=0, rounds=passes * count, seed=seed)
    ms = {name: np.median(own.ms.reshape(passes, count), axis=0) for name, own in times.items()}
    return Cost(ms, int((above >= 0).sum()), len(above))


def report(found: dict[str, Cost]) -> None:
    """Prints times, ratios, the share that went on, and whether the goal is met."""
    heading("Milliseconds a text, mean")
    names = (FIRST, SHIPPED, TENTH, EVERYTHING)
    table(
        ["", "texts", "windows that go on", *names],
        [
            [title, str(len(own.ms[FIRST])), f"{own.going_on / own.windows:.1%} of {own.windows}"]
            + [figure(float(own.ms[name].mean())) for name in names]
            for title, own in found.items()
        ],
    )
    heading(f"As a share of the {FIRST} (95 % interval)")
    table(
        ["", *names[1:]],
        [[title, *(str(own.over(name, FIRST)) for name in names[1:])] for title, own in found.items()],
    )
    goals(
        [
            Goal(f"{name} over {FIRST}, {title}", own.over(name, FIRST).value, _BOUND)
            for title, own in found.items()
            for name in (SHIPPED, TENTH)
        ]
    )


def benign_rows(data: Sequence[Path], seed: int) -> list[Row]:
    """All benign rows, in an order by chance in which the sources take turns."""
    rows = [row for row in read_rows(data) if row.label in BENIGN_LABELS and row.text.strip()]
    turn: dict[str, int] = {}
    ranked = []
    for at in np.random.default_rng(seed).permutation(len(rows)).tolist():
        turn[rows[at].source] = turn.get(rows[at].source, 0) + 1
        ranked.append((turn[rows[at].source], len(ranked), at))
    return [rows[at] for _, _, at in sorted(ranked)]


def heads(rows: Sequence[Row], tokenizer: Tokenizer, n_tokens: int, count: int) -> list[_Given]:
    """The first `n_tokens` tokens of the first `count` rows that have as many."""

    def cut() -> Iterator[_Given]:
        for row in rows:
            encoding = tokenizer.encode(row.text[: 40 * n_tokens])
            if len(encoding) >= n_tokens:
                yield row.text[: int(encoding.offsets[n_tokens - 1, 1])], row.channel

    return [given for given, _ in zip(cut(), range(count))]


def own_texts(tokenizer: Tokenizer, n_tokens: int, seed: int) -> list[_Given]:
    """Plain English of that length."""
    return [(text_of(tokenizer, n_tokens, seed + number), "document") for number in range(_OWN_TEXTS)]


if __name__ == "__main__":
    main()
