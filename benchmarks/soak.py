"""Hours under load: is an answer lost, doubled or another's, does anything grow, how late are answers?

    python benchmarks/soak.py --minutes 60 --callers 64 --faults [--model tiny|real] [--report soak.html]

Callers of `screen_async`, `screen` and `screen_many` ask questions whose answers are known, some with deadlines. With
`--faults` the detector raises, hangs, gives NaN or the wrong shape for a while, the cache is damaged and a second firewall
started from it, and floods come. An answer is right if it is the verdict that its text gets alone; else it must be by
policy, which blocks. Then questions come at given rates, whether answers come or not: below saturation, and above it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __name__ == "__main__":  # the repository, not this folder: profile.py here would hide Python's own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from alknet_firewall import Firewall, FirewallConfig
from benchmarks.harness.machine import describe, load, resident_mb
from benchmarks.harness.report import Goal, figure, goals, heading, table
from benchmarks.harness.soak_report import Sample, now, write_page
from benchmarks.harness.switched import FAULTS, Switched, damage, switched
from benchmarks.harness.traffic import Answers, Question, ask_at_rate, ask_in_loop, ask_in_thread, questions
from tests.tiny import write_firewall

_EARLY = 10_000  # answers after which memory is looked at for the first time
_BELOW, _ABOVE = 0.5, 2.0  # of capacity
_DEADLINE = 500.0  # ms, above saturation
_LATE = 1.2  # of the deadline
_SAMPLES = 720


class Soak:
    """A firewall under load, with what was seen of it."""

    def __init__(self, settings: dict[str, str], texts: int, seed: int, cache: Path) -> None:
        self._settings, self._rng, self._cache = settings, random.Random(seed), cache
        self.firewall = Firewall(self._config()).warm_up()
        self.pool = questions(self.firewall, texts, seed)
        self.short = [question for question in self.pool if 100 < len(question.text) < 500]
        self.model: Switched = switched(self.firewall)
        self.answers = Answers()
        self.samples: list[Sample] = []
        self.early_mb = 0.0
        self._fault = ""

    def run(self, seconds: float, callers: int, faults: bool, seed: int) -> None:
        """Callers ask for so long; meanwhile samples are taken and faults switched."""
        started = time.monotonic()
        until = started + seconds

        def goes() -> bool:
            return time.monotonic() < until

        in_threads = max(1, callers // 8)
        with ThreadPoolExecutor(in_threads + 3) as threads:
            share = (callers - in_threads) // 2
            work = [
                threads.submit(ask_in_loop, self.firewall, self.pool, self.answers, share, goes, seed + at)
                for at in (1, 2)
            ]
            work += [
                threads.submit(ask_in_thread, self.firewall, self.pool, self.answers, goes, seed + 10 + at)
                for at in range(in_threads)
            ]
            if faults:
                work.append(threads.submit(self._disturb, until))
            while goes():
                time.sleep(min(max(seconds / _SAMPLES, 0.5), max(0.0, until - time.monotonic())))
                self._sample(time.monotonic() - started)
            self.model.switch("")
            for task in work:
                task.result(120)  # callers that got no answer would be seen here
        self._sample(time.monotonic() - started)

    def _sample(self, seconds: float) -> None:
        times, given = self.answers.take_times(), self.answers.given
        policy = sum(self.answers.by_policy.values())
        quantiles = times.quantile(0.5), times.quantile(0.99)
        self.samples.append(now(seconds, given, policy, *quantiles, self._fault))
        if not self.early_mb and given >= _EARLY:
            self.early_mb = resident_mb()

    def _disturb(self, until: float) -> None:
        """Switches something on for a while, and off for twice as long, till the end."""
        while (left := until - time.monotonic()) > 1:
            self._fault = self._rng.choice((*FAULTS, "cache", "flood"))
            pause = min(self._rng.uniform(0.3, 2.0), left / 3)
            if self._fault == "cache":
                self._restarted()
            elif self._fault == "flood":
                asyncio.run(self._flood())
            else:
                self.model.switch(self._fault)
                time.sleep(pause)
                self.model.switch("")
            self._fault = ""
            time.sleep(2 * pause)

    def _restarted(self) -> None:
        """A second firewall from a damaged cache, as after a restart."""
        damage(self._cache, self._rng)
        fresh = Firewall(self._config())
        for question in self._rng.sample(self.short, 5):
            self.answers.ask()
            self.answers.take(question, fresh.screen(question.text, question.channel))

    async def _flood(self) -> None:
        """More at once than may wait."""
        many = [self._rng.choice(self.short) for _ in range(2 * self.firewall.config.max_waiting)]
        self.answers.ask(len(many))
        verdicts = await asyncio.gather(*(self.firewall.screen_async(q.text, q.channel) for q in many))
        for question, verdict in zip(many, verdicts):
            self.answers.take(question, verdict)

    def _config(self) -> FirewallConfig:
        return FirewallConfig(**{"max_waiting": 512, "cache_verdicts": 50, "threads": 2, **self._settings})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="of the mixed traffic (1)")
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--texts", type=int, default=400, help="different ones that are asked (400)")
    parser.add_argument("--faults", action="store_true", help="switch faults on and off")
    parser.add_argument("--model", choices=("tiny", "real"), default="tiny")
    parser.add_argument("--rate-seconds", type=float, default=20.0, help="of each part at a given rate (20)")
    parser.add_argument("--report", type=Path, help="write the plots to this page")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.getLogger("alknet_firewall").setLevel(
        logging.CRITICAL
    )  # of faults that are switched on there are many
    describe(["numpy", "onnxruntime"], threads=2, seed=options.seed)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        settings: dict[str, str] = {}
        if options.model == "tiny":  # its cache is its own: it will be damaged
            cache.mkdir()
            os.environ["ALKNET_FIREWALL_CACHE"] = str(cache)
            settings = write_firewall(Path(folder))
        soak = Soak(settings, options.texts, options.seed, cache)
        soak.run(60 * options.minutes, options.callers, options.faults, options.seed)
        return report(soak, options.rate_seconds, options.report, options.seed)


def report(soak: Soak, rate_seconds: float, page: Path | None, seed: int) -> int:
    """Prints what was seen, measures at given rates, and says whether the goals are met; 1 if an answer was wrong."""
    answers, last = soak.answers, soak.samples[-1]
    heading(f"{answers.given:,} answers in {last.seconds / 60:.1f} minutes")
    policy = ", ".join(f"{kind} {count:,}" for kind, count in sorted(answers.by_policy.items())) or "none"
    table(["", ""], [
        ["right", f"{answers.right:,}"], ["by policy", policy], ["wrong", f"{answers.wrong:,}"],
        ["asked and not answered", f"{answers.asked - answers.given:,}"],
        ["memory after 10,000 answers, and at the end, MB", f"{soak.early_mb:.1f}, {last.rss_mb:.1f}"],
        ["open files, first and last", f"{soak.samples[0].handles}, {last.handles}"],
        ["threads, first and last", f"{soak.samples[0].threads}, {last.threads}"],
        ["p50 and p99 of short texts over all, ms",
         f"{figure(answers.all_times.quantile(0.5))}, {figure(answers.all_times.quantile(0.99))}"],
    ])  # fmt: skip
    rates = at_rates(soak.firewall, soak.short, rate_seconds, seed)
    bad = answers.wrong + answers.asked - answers.given
    growth = last.rss_mb / soak.early_mb if soak.early_mb else None
    goals(
        [
            Goal("answers lost, doubled or wrong", float(bad), 0),
            Goal("memory, last over early", growth, 1.05, " ×"),
            *rates,
        ]
    )
    if page is not None:
        write_page(soak.samples, page)
        print(f"\nPlots: {page}")
    print(f"\nAt the end: {load()}.")
    return int(bad > 0)


def at_rates(firewall: Firewall, pool: Sequence[Question], seconds: float, seed: int) -> list[Goal]:
    """Questions below saturation, and above it with a deadline."""
    firewall = Firewall(firewall.config.model_copy(update={"cache_verdicts": 0})).warm_up()
    capacity = saturated(firewall, pool, seconds, seed)
    heading(f"Short texts, {capacity:.0f} a second at most")
    _, below = asyncio.run(ask_at_rate(firewall, pool, _BELOW * capacity, seconds, None, seed))
    beyond, above = asyncio.run(ask_at_rate(firewall, pool, _ABOVE * capacity, seconds, _DEADLINE, seed))
    in_time = float(np.mean(np.array(above) <= _LATE * _DEADLINE))
    p50, p99 = np.quantile(below, (0.5, 0.99))
    table(["rate, of that", "p50, ms", "p99, ms", "by policy", f"within {_LATE} × the deadline"], [
        [f"{_BELOW:g}", figure(p50), figure(p99), "0", ""],
        [f"{_ABOVE:g}, deadline {_DEADLINE:g} ms", *map(figure, np.quantile(above, (0.5, 0.99)).tolist()),
         f"{sum(beyond.by_policy.values()) / beyond.given:.0%}", f"{in_time:.2%}"],
    ])  # fmt: skip
    return [
        Goal(f"at {_BELOW:g} of capacity: p99 over p50", float(p99 / p50), 4),
        Goal(f"at {_ABOVE:g} of capacity: share later than {_LATE} × the deadline", 1 - in_time, 0.0),
        Goal("of these, wrong", float(beyond.wrong), 0),
    ]


def saturated(firewall: Firewall, pool: Sequence[Question], seconds: float, seed: int) -> float:
    """Answers a second with 64 callers who ask again at once."""
    answers, until = Answers(), time.monotonic() + seconds
    thread = threading.Thread(
        target=ask_in_loop, args=(firewall, pool, answers, 64, lambda: time.monotonic() < until, seed)
    )
    thread.start()
    thread.join()
    return answers.right / seconds


if __name__ == "__main__":
    sys.exit(main())
