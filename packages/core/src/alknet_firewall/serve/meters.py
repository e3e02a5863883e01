"""What is counted for Prometheus. Each name stands in docs/watching.md and may be used in dashboards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from alknet_firewall.verdict import Verdict

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus-client: where the workers of one server share what they count."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RATES = (0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class Meters:
    """Counts what a server does. Texts, and what is made of them, never become labels."""

    def __init__(self) -> None:
        """Starts at zero, in a registry of its own."""
        self.registry = registry = CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"alknet_firewall_{name}", what, labels, registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"alknet_firewall_{name}", what, registry=registry, multiprocess_mode="livesum")

        def histogram(name: str, what: str, label: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"alknet_firewall_{name}", what, (label,), registry=registry, buckets=buckets)

        self.verdicts = counter("verdicts", "Verdicts given.", "action", "channel")
        self.alarms = counter("alarms", "Alarms raised.", "behavior", "action", "channel")
        self.faults = counter("faults", "Texts that could not be screened, by kind of error.", "kind")
        self.tokens = counter("tokens", "Tokens screened.", "channel")
        self.truncated = counter("truncated", "Texts of which the rest was not read.", "channel")
        self.windows = counter("windows", "Windows that the detector read, by stage of the cascade.", "stage")
        self.answers = counter("requests", "Requests answered.", "route", "status")
        self.screenings = histogram(
            "screening_seconds", "From taking a text in to its verdict.", "channel", _SECONDS
        )
        self.detector = histogram(
            "detector_seconds", "One batch in the detector, by stage of the cascade.", "stage", _SECONDS
        )
        self.request_seconds = histogram(
            "request_seconds", "From a request to the end of its answer.", "route", _SECONDS
        )
        self.rates = histogram(
            "false_alarm_rate",
            "False-alarm rates of the verdicts: how unusual the traffic is.",
            "channel",
            _RATES,
        )
        self.waiting = gauge("texts_waiting", "Texts taken in that have no verdict yet.")
        self.streams = gauge("streams_open", "Streams that are open.")
        self.ready = gauge("ready_workers", "Workers whose model is loaded.")

    @contextmanager
    def screening(self, channel: str, headers: Mapping[str, str]) -> Iterator[None]:
        """Counts a text that waits."""
        self.waiting.inc()
        try:
            yield
        finally:
            self.waiting.dec()

    def screened(self, verdict: Verdict, seconds: float | None) -> None:
        """Counts a verdict.

        Args:
            verdict: What was answered.
            seconds: From taking the text in; None for a stream, whose length is its source's.
        """
        channel = verdict.channel
        self.verdicts.labels(verdict.action.value, channel).inc()
        self.tokens.labels(channel).inc(verdict.tokens)
        if verdict.error is not None:
            self.faults.labels(verdict.error.partition(":")[0]).inc()
        else:
            self.rates.labels(channel).observe(verdict.false_alarm_rate)
        if verdict.truncated:
            self.truncated.labels(channel).inc()
        for alarm in verdict.alarms:
            self.alarms.labels(alarm.behavior, alarm.action.value, channel).inc()
        if seconds is not None:
            self.screenings.labels(channel).observe(seconds)

    def batch(self, stage: str, windows: int, seconds: float) -> None:
        """Counts a batch in the detector."""
        self.windows.labels(stage).inc(windows)
        self.detector.labels(stage).observe(seconds)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request by its route, which is never a path that a client made up."""
        self.answers.labels(route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """Everything in Prometheus' text format: of all workers of this server."""
        folder = os.environ.get(SHARED_FOLDER)
        if not folder:
            return generate_latest(self.registry)
        _bury_the_dead(Path(folder))
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)


def _bury_the_dead(folder: Path) -> None:
    """Forgets the gauges of workers that were killed: what they had at work is at work no more."""
    for file in folder.glob("gauge_live*_*.db"):
        process = file.stem.rpartition("_")[2]
        if process.isdigit() and not _lives(int(process)):
            mark_process_dead(int(process), str(folder))  # type: ignore[no-untyped-call]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
