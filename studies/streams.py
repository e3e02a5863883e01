"""Whether a stream that is held back lets anything flagged out, and how often it stops what should go on.

    python studies/streams.py ../shared/data/calibration --streams 1000

Rows of labelled data arrive in pieces of 1 to 40 characters: attacks as they are, attacks within two benign rows of the
same channel, and benign rows. Of each stream it is told whether it was stopped, whether `screen()` flags the whole, and
how many characters of a flagged span went out: of the spans of the verdict that stopped it, and of those of `screen()`.
Texts are drawn source by source, up to 6,000 characters. What waits is told in characters, for streams that ended by
themselves. The codebook knows these rows: the figures are about streams,
not about detection.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from alknet_firewall import Action, Firewall, FirewallConfig, HoldBack
from alknet_firewall.cli.progress import stages
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row, read_rows

_LONGEST = 6000
_LOOK_AHEADS: dict[str, HoldBack] = {
    "as it comes": HoldBack(),
    "look ahead 32": HoldBack(look_ahead=32),
    "look ahead 32, rate 0.5": HoldBack(look_ahead=32, clear_rate=0.5),
}


@dataclass(frozen=True)
class Passed:
    """What became of one stream.

    Attributes:
        stopped: Whether it was ended.
        flagged: Whether `screen()` flags the whole.
        leaked: Characters of a flagged span that went out.
        waited: Characters that had arrived and not gone out, after each piece; of streams that were not stopped.
    """

    stopped: bool
    flagged: bool
    leaked: int
    waited: list[int]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--streams", type=int, default=1000, help="in all, a third of each kind (1000)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    firewall = Firewall(FirewallConfig(threads=options.threads)).warm_up()
    rows = [row for row in read_rows(options.data) if 20 <= len(row.text) <= _LONGEST]
    texts = list(texts_of(rows, options.streams, options.seed))
    columns = (
        "streams",
        "stopped",
        "flagged as a whole",
        "stopped, not flagged",
        "let flagged text out",
        "wait",
        "at most",
    )
    print(f"| hold-back | {' | '.join(columns)} |")
    print(f"| --- | --- |{' ---: |' * 6}")
    for name, settings in _LOOK_AHEADS.items():
        found: dict[str, list[Passed]] = {}
        rng = np.random.default_rng(options.seed)
        with stages(Console(stderr=True)) as report:
            for at, (kind, text, channel) in enumerate(texts, 1):
                found.setdefault(kind, []).append(passed(firewall, text, channel, settings, rng))
                report(name, at / len(texts))
        for kind, own in found.items():
            waited = np.concatenate([[0], *(p.waited for p in own if not p.stopped)])
            counts = (
                sum(p.stopped for p in own),
                sum(p.flagged for p in own),
                sum(p.stopped and not p.flagged for p in own),
                sum(p.leaked > 0 for p in own),
                f"{np.median(waited):.0f}",
                int(waited.max()),
            )
            print(f"| {name} | {len(own)} {kind} | {' | '.join(map(str, counts))} |", flush=True)


def texts_of(rows: Sequence[Row], count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Kind, text and channel of each stream."""
    rng = np.random.default_rng(seed)
    attacks = by_source([row for row in rows if row.label in ATTACK_LABELS])
    benign = by_source([row for row in rows if row.label in BENIGN_LABELS])
    for _ in range(count // 3):
        attack, first, last, other = (draw(own, rng) for own in (attacks, benign, benign, benign))
        yield "attacks", attack.text, attack.channel
        yield (
            "attacks within benign text",
            f"{first.text}\n\n{attack.text}\n\n{last.text}"[:_LONGEST],
            attack.channel,
        )
        yield "benign", other.text, other.channel


def by_source(rows: Sequence[Row]) -> list[list[Row]]:
    sources: dict[str, list[Row]] = {}
    for row in rows:
        sources.setdefault(row.source, []).append(row)
    return [sources[name] for name in sorted(sources)]


def draw(sources: Sequence[Sequence[Row]], rng: np.random.Generator) -> Row:
    source = sources[int(rng.integers(len(sources)))]
    return source[int(rng.integers(len(source)))]


def passed(
    firewall: Firewall, text: str, channel: str, settings: HoldBack, rng: np.random.Generator
) -> Passed:
    """Sends one text through a stream."""
    stream, at, out = firewall.stream(channel, hold_back=settings), 0, 0
    waited = []
    while at < len(text) and stream.stopped is None:
        end = min(len(text), at + int(rng.integers(1, 41)))
        stream.feed(text[at:end])
        at, out = end, out + len(stream.release())
        waited.append(at - out)
    stream.close()
    out += len(stream.release())
    whole = firewall.screen(text, channel)
    verdicts = [whole, *([stream.stopped] if stream.stopped else [])]
    alarms = (alarm for verdict in verdicts for alarm in verdict.alarms if alarm.action is not Action.ALLOW)
    spans = [alarm.span for alarm in alarms if alarm.span is not None]
    leaked = max([0, *(min(out, span.end) - span.start for span in spans)])
    return Passed(stream.stopped is not None, whole.flagged, leaked, waited)


if __name__ == "__main__":
    main()
