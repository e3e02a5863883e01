"""What a soak looked like over time, as a table in memory and as a page with plots."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness.machine import resident_mb


@dataclass(frozen=True)
class Sample:
    """How things stood at one moment.

    Attributes:
        seconds: Since the start.
        answers: Given so far.
        by_policy: Of these, by policy.
        rss_mb: Memory of the process.
        handles: Open files.
        threads: Threads of Python.
        p50: Median time of answers since the sample before, in ms.
        p99: 99th percentile, in ms.
        fault: What was switched on.
    """

    seconds: float
    answers: int
    by_policy: int
    rss_mb: float
    handles: int
    threads: int
    p50: float
    p99: float
    fault: str


def now(seconds: float, answers: int, by_policy: int, p50: float, p99: float, fault: str) -> Sample:
    """A sample with what the process takes now."""
    try:
        handles = len(os.listdir("/proc/self/fd"))
    except OSError:  # not Linux
        handles = 0
    return Sample(
        seconds, answers, by_policy, resident_mb(), handles, threading.active_count(), p50, p99, fault
    )


def write_page(samples: Sequence[Sample], path: Path) -> None:
    """Writes the plots as one page that needs no network.

    Raises:
        ModuleNotFoundError: Plotly is missing: `pip install "alknet-firewall[evaluate]"`.
    """
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    rows = {name: [asdict(sample)[name] for sample in samples] for name in Sample.__dataclass_fields__}
    minutes = [second / 60 for second in rows["seconds"]]
    titles = ("time of an answer to a short text, ms", "memory, MB", "open files and threads", "answers")
    figure = make_subplots(rows=4, cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.06)
    for row, names in enumerate(
        (("p50", "p99"), ("rss_mb",), ("handles", "threads"), ("answers", "by_policy")), 1
    ):
        for name in names:
            figure.add_trace(Scatter(x=minutes, y=rows[name], name=name, mode="lines"), row=row, col=1)
    figure.update_yaxes(type="log", row=1, col=1)
    stretches = [(start / 60, end / 60, fault) for start, end, fault in _stretches(samples)]
    # All at once: what adds a shape at a time checks all shapes before it again.
    shapes = [
        {"type": "rect", "yref": "paper", "x0": start, "x1": end, "y0": 0, "y1": 1, "fillcolor": "red",
         "opacity": 0.12, "line": {"width": 0}}
        for start, end, _ in stretches
    ]  # fmt: skip
    names = [
        {"x": (start + end) / 2, "y": 1, "yref": "paper", "text": fault, "showarrow": False, "textangle": -90}
        for start, end, fault in stretches
    ]
    figure.update_layout(shapes=shapes, annotations=[*figure.layout.annotations, *names])
    figure.update_xaxes(title_text="minutes", row=4, col=1)
    figure.update_layout(title="Soak", height=1100, template="plotly_white")
    temporary = path.with_name(path.name + ".part")
    figure.write_html(temporary, include_plotlyjs=True)
    temporary.replace(path)


def _stretches(samples: Sequence[Sample]) -> list[tuple[float, float, str]]:
    """From when to when which fault was seen."""
    found: list[tuple[float, float, str]] = []
    for before, sample in zip(samples, samples[1:]):
        if sample.fault:
            if found and found[-1][1] == before.seconds and found[-1][2] == sample.fault:
                found[-1] = (found[-1][0], sample.seconds, sample.fault)
            else:
                found.append((before.seconds, sample.seconds, sample.fault))
    return found
