"""What a stream costs: fed in chunks, against one `screen()` of the whole and against screening anew at each chunk.

    python benchmarks/streams.py

Benign English of each length, fed in chunks of so many tokens. Screening anew is what a host does that
has no stream: `screen()` of all that has arrived, at each chunk; it is counted from `screen()` of a few lengths on the
way, as it would take minutes. Delay is told in tokens: how many have arrived that have not gone out, in the middle and
at most, over all tokens of texts of 2,048; at 50 tokens a second, the milliseconds beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # the repository, not this folder: profile.py here would hide Python's own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from alknet_firewall import Firewall, HoldBack
from benchmarks.harness.machine import describe, load, resident_mb
from benchmarks.harness.report import Goal, figure, goals, heading, table
from benchmarks.harness.texts import backend_of, open_firewall, text_of
from benchmarks.harness.timing import interleaved

LENGTHS = (64, 256, 1024, 8192)
CHUNKS = (1, 4, 16, 64)
KINDS: dict[str, HoldBack | None] = {
    "verdicts on the way": None,
    "held back": HoldBack(),
    "held back, look ahead 32": HoldBack(look_ahead=32),
}
_SPEED = 50  # tokens a second that a model writes
_BOUND = 1.3  # of one screen() of the whole
_STREAMS = 50  # whose memory is counted
_HOUR = 3600 * _SPEED  # tokens
_TURN = 48  # tokens that each of many streams gets at a time


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", nargs="*", type=int, default=LENGTHS)
    parser.add_argument("--chunks", nargs="*", type=int, default=CHUNKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=1000, help="streams at once; 0: none (1000)")
    parser.add_argument(
        "--hour", type=int, default=_HOUR, help=f"tokens of one long stream; 0: none ({_HOUR})"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    describe(["numpy", "onnxruntime"], threads=options.threads, seed=options.seed)
    firewall = open_firewall(options.threads)
    print(f"- {backend_of(firewall)}")
    met: list[Goal] = []
    rows = [row for n in sorted(options.tokens) for row in costs(firewall, n, options, met)]
    heading("Cost over one screen() of the whole text")
    table(["tokens", "chunk", "screen(), ms", *KINDS, "screening anew at each chunk"], rows)
    delays(firewall, options.chunks, options.seed)
    memory(firewall, options.seed)
    if options.many:
        many(firewall, options.many, options.seed)
    if options.hour:
        hour(firewall, options.hour, options.seed)
    goals(met)
    print(f"\nAt the end: {load()}.")


def tokens_of(firewall: Firewall, text: str) -> list[str]:
    """The text cut at its tokens."""
    offsets = firewall.engine.detector.tokenizer.encode(text).offsets
    return [text[start:end] for start, end in offsets.tolist()]


def stream(firewall: Firewall, tokens: Sequence[str], chunk: int, hold_back: HoldBack | None) -> None:
    """Feeds a text, and takes out what may go on."""
    with firewall.stream("response", hold_back=hold_back) as own:
        for at in range(0, len(tokens), chunk):
            own.feed("".join(tokens[at : at + chunk]))
            if hold_back is not None:
                own.release()


def costs(firewall: Firewall, n: int, options: argparse.Namespace, met: list[Goal]) -> list[list[str]]:
    """Times one length, chunk by chunk."""
    tokens = tokens_of(firewall, text_of(firewall.engine.detector.tokenizer, n, options.seed))
    text = "".join(tokens)
    calls = {"whole": lambda _: firewall.screen(text, "response")}
    for kind, settings in KINDS.items():
        for chunk in options.chunks:
            calls[f"{kind} {chunk}"] = lambda _, of=(chunk, settings): stream(firewall, tokens, *of)  # type: ignore[misc]
    times = interleaved(calls, seconds=0, rounds=options.rounds, seed=options.seed)
    grid = np.unique(np.linspace(1, len(tokens), 9).astype(int))
    heads = {
        f"{end}": lambda _, end=end: firewall.screen("".join(tokens[:end]), "response")
        for end in grid.tolist()
    }  # type: ignore[misc]
    partial = interleaved(heads, seconds=0, rounds=3, seed=options.seed)
    by_length = [float(np.median(partial[str(end)].ms)) for end in grid.tolist()]
    whole = float(np.median(times["whole"].ms))
    rows = []
    for chunk in options.chunks:
        own = [float(np.median(times[f"{kind} {chunk}"].ms)) / whole for kind in KINDS]
        anew = sum(np.interp(np.arange(chunk, len(tokens) + chunk, chunk), grid, by_length)) / whole
        met.append(Goal(f"{n} tokens in chunks of {chunk}, the worst of these", max(own), _BOUND))
        rows.append([str(n), str(chunk), figure(whole), *map(figure, own), figure(float(anew))])
    return rows


def delays(firewall: Firewall, chunks: Sequence[int], seed: int) -> None:
    """How many tokens wait, over the course of a text."""
    tokens = tokens_of(firewall, text_of(firewall.engine.detector.tokenizer, 2048, seed))
    ends = np.cumsum([len(token) for token in tokens])
    rows = []
    held = {kind: settings for kind, settings in KINDS.items() if settings is not None}
    for kind, settings, chunk in [(*each, chunk) for each in held.items() for chunk in chunks]:
        own, out, waiting = firewall.stream("response", hold_back=settings), 0, []
        for at in range(0, len(tokens), chunk):
            own.feed("".join(tokens[at : at + chunk]))
            out += len(own.release())
            arrived = min(at + chunk, len(tokens))
            waiting.append(arrived - int(np.searchsorted(ends, out, side="right")))
        own.close()
        middle, most = float(np.median(waiting)), max(waiting)
        rows.append(
            [
                kind,
                str(chunk),
                figure(middle),
                str(most),
                f"{1000 * middle / _SPEED:.0f}",
                f"{1000 * most / _SPEED:.0f}",
            ]
        )
    heading("Tokens that wait, and the delay at 50 tokens a second")
    table(["", "chunk", "median", "most", "median, ms", "most, ms"], rows)


def memory(firewall: Firewall, seed: int) -> None:
    """What streams keep that are all within a window."""
    tokens = tokens_of(firewall, text_of(firewall.engine.detector.tokenizer, 150, seed))
    before = firewall.stream_memory
    streams = [firewall.stream("response") for _ in range(_STREAMS)]
    for own in streams:
        own.feed("".join(tokens))
    kept = firewall.stream_memory - before
    heading("Memory")
    print(
        f"\n{kept / _STREAMS / 1e6:.2f} MB a stream in the middle of a window ({_STREAMS} streams);", end=" "
    )
    print(f"all together at most {firewall.config.stream_memory_mb:.0f} MB (`stream_memory_mb`).")
    for own in streams:
        own.abandon()


def many(firewall: Firewall, count: int, seed: int) -> None:
    """The process while many streams take turns, each of six turns within two windows."""
    tokens = tokens_of(firewall, text_of(firewall.engine.detector.tokenizer, 6 * _TURN, seed))
    start = resident_mb()
    streams = [firewall.stream("response", hold_back=HoldBack(look_ahead=32)) for _ in range(count)]
    rows = []
    for at in range(0, len(tokens), _TURN):
        for own in streams:
            own.feed("".join(tokens[at : at + _TURN]))
            own.release()
        rows.append([str(at + _TURN), figure(firewall.stream_memory / 1e6), figure(resident_mb() - start)])
    for own in streams:
        own.abandon()
    heading(f"{count} streams at once")
    table(["tokens of each", "kept of open windows, MB", "process over before, MB"], rows)


def hour(firewall: Firewall, n: int, seed: int) -> None:
    """The process over one long stream."""
    tokens = tokens_of(firewall, text_of(firewall.engine.detector.tokenizer, 4096, seed))
    own, rows, done = firewall.stream("response", hold_back=HoldBack()), [], 0
    for part in range(1, 5):
        while done < n * part // 4:
            own.feed("".join(tokens[:256]))
            own.release()
            tokens = tokens[256:] + tokens[:256]
            done += 256
        rows.append([str(done), figure(firewall.stream_memory / 1e6), figure(resident_mb())])
    own.abandon()
    heading("One long stream")
    table(["tokens", "kept of the open window, MB", "process, MB"], rows)


if __name__ == "__main__":
    main()
