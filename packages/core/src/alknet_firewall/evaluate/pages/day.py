"""The page of an audit log."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alknet_firewall.evaluate.day import ChannelFigures, Day
from alknet_firewall.evaluate.drift import ChannelDrift, State
from alknet_firewall.evaluate.log_lines import LoggedVerdict
from alknet_firewall.evaluate.pages.day_charts import alarms_chart, calibration_chart, volumes_chart
from alknet_firewall.evaluate.pages.html import Cells, Raw, Section, Table, figure, note, page, told_rate
from alknet_firewall.evaluate.reliability import RATES_ASKED

_DRIFT = {State.SAME: "no drift", State.DRIFT: "drift", State.UNCLEAR: "cannot tell"}
_HASH = 16  # characters of a hash that are shown


@dataclass(frozen=True)
class Told:
    """What else stands on the page.

    Attributes:
        version: Of this package.
        codebook: That the scores are compared with, in few words.
        drift: By channel.
        advice: By channel, what to do about it.
        excerpt: Makes a text short and harmless to show; None leaves texts out.
    """

    version: str
    codebook: str
    drift: Mapping[str, ChannelDrift]
    advice: Mapping[str, str]
    excerpt: Callable[[str], str] | None = None


def day_page(day: Day, told: Told) -> str:
    """A whole HTML file.

    Raises:
        AlknetFirewallError: Plotly is not installed.
    """
    sections = [_volumes(day), _alarms(day), _channels(day), _calibration(day, told)]
    if day.slowest:
        sections.append(_slowest(day))
    sections.append(_examples(day, told))
    footer = (
        f"alknet-firewall {told.version}; compared with the codebook {told.codebook}. Nothing on this page is loaded "
        "from anywhere."
    )
    lead: list[str | Raw] = [
        f"From {_minute(day.first)} to {_minute(day.last)}, all times in UTC.",
        _cards(day),
    ]
    if day.malformed:
        lead.append(
            note(f"Lines of the log that could not be read, and are not in these figures: {day.malformed:,}.")
        )
    return page("What the firewall did", lead, sections, footer)


def _cards(day: Day) -> Raw:
    flagged, errors = day.count("review", "block"), sum(one.errors for one in day.channels.values())
    figures = [
        (f"{day.verdicts:,}", "verdicts", ""),
        (f"{flagged:,}", "flagged", _share(flagged, day.verdicts)),
        (f"{day.count('block'):,}", "of them blocked", _share(day.count("block"), day.verdicts)),
        (f"{errors:,}", "screenings failed", "decided by on_error" if errors else ""),
    ]
    if day.seconds is not None:
        figures.append((_ms(day.seconds[0]), "median time", f"99th percentile {_ms(day.seconds[1])}"))
    items = "".join(
        f"<li><b>{html.escape(value)}</b><span>{html.escape(name)}</span><small>{html.escape(more)}</small></li>"
        for value, name, more in figures
    )
    return Raw(f'<ul class="cards">{items}</ul>')


def _volumes(day: Day) -> Section:
    rows: Cells = [
        [_minute(time), *(f"{counts[action]:,}" for action in ("allow", "review", "block"))]
        for time, counts in day.volumes.items()
    ]
    return Section(
        "How much, and when",
        [
            f"Each bar is {_length(day.step)}. A stream tells each change of its verdict, and may count several times."
        ],
        chart=volumes_chart(day.volumes, day.step),
        spoken="Verdicts over time by action; table below.",
        tables=[Table("Verdicts", ["from", "allow", "review", "block"], rows)],
    )


def _alarms(day: Day) -> Section:
    alarms = {name: one.behaviors for name, one in day.channels.items()}
    behaviors = sorted({name for counts in alarms.values() for name in counts})
    if not behaviors:
        return Section("What alarmed", ["No behavior alarmed."])
    rows: Cells = [[name, *(f"{counts.get(name, 0):,}" for counts in alarms.values())] for name in behaviors]
    return Section(
        "What alarmed",
        [
            "Alarms by behavior and channel. Some behaviors only inform: their alarms are here, but change no action."
        ],
        chart=alarms_chart(
            {name: {b: counts.get(b, 0) for b in behaviors} for name, counts in alarms.items()}
        ),
        spoken="Alarms by behavior and channel; table below.",
        tables=[Table("Verdicts with this alarm", ["behavior", *alarms], rows)],
    )


def _channels(day: Day) -> Section:
    headings = ["channel", "verdicts", "review", "block", "failed", "tokens", "median", "99 %", "longest"]
    rows: Cells = [[name, *_channel(one)] for name, one in day.channels.items()]
    return Section(
        "Channels",
        ["How long it took: where the log says so, from the call to the verdict."],
        tables=[Table("By channel", headings, rows)],
    )


def _channel(one: ChannelFigures) -> list[str | Raw]:
    counts = [one.actions.get(action, 0) for action in ("review", "block")]
    shares = [Raw(f"{count:,} <small>{_share(count, one.verdicts)}</small>") for count in counts]
    times = ["\u2013"] * 3 if one.seconds is None else [_ms(seconds) for seconds in one.seconds]
    return [f"{one.verdicts:,}", *shares, f"{one.errors:,}", f"{one.tokens:,}", *times]


def _calibration(day: Day, told: Told) -> Section:
    explained = [
        "Of the calibration's benign texts a share, along the axis, scores at least so high; of these texts, up. Where "
        "traffic is like the calibration and holds few attacks, the lines run along the dotted one. Above it, more "
        "texts score high than did then: attacks, or benign text of a new kind.",
        *(
            f"{name}: {_DRIFT[found.state]} ({found.texts:,} texts). {told.advice[name]}"
            for name, found in told.drift.items()
        ),
    ]
    few = [name for name in day.channels if name not in told.drift]
    if few:
        explained.append(f"{', '.join(few)}: too few texts to compare.")
    drifted = [name for name, found in told.drift.items() if found.state is State.DRIFT]
    rates = [rate for rate in RATES_ASKED if 0.001 <= rate <= 0.2]
    rows: Cells = [
        [one.channel, f"{one.rows:,}", *(figure(one.observed[rate], share=True) for rate in rates)]
        for one in day.reliability
    ]
    return Section(
        "Scores against the calibration",
        explained,
        chart=calibration_chart(day.reliability),
        spoken="For each channel the share of texts that reach each rate of the calibration; table below.",
        tables=[
            Table("Share of texts told a rate of at most", ["channel", "texts", *map(told_rate, rates)], rows)
        ],
        note=f"Drift in {', '.join(drifted)}." if drifted else "",
    )


def _slowest(day: Day) -> Section:
    rows: Cells = [
        [
            f"{line.time:%Y-%m-%d %H:%M:%S}",
            _ms(line.seconds or 0.0),
            f"{line.tokens:,}",
            line.channel,
            line.action.value,
            _known(line),
        ]
        for line in day.slowest
    ]
    return Section(
        "Slowest",
        ["Long texts take long. A short text that took long had to wait: look at how busy the machine was."],
        tables=[
            Table("Slowest verdicts", ["time", "took", "tokens", "channel", "action", "text"], rows,
                  words=frozenset({3, 4, 5}))
        ],
    )  # fmt: skip


def _examples(day: Day, told: Told) -> Section:
    hidden = "Texts are left out; their hashes and the places of the evidence are here. "
    shown = "Texts are data, shortened, with control characters made visible. They may be confidential or offensive."
    headings = ["time", "score", "times", "channel", "action", "alarms and where", "mostly by", "text"]
    rows: Cells = []
    for line, times in day.highest:
        text = _known(line)
        if told.excerpt is not None and line.text is not None:
            text = told.excerpt(_evidence(line.text, line))
        alarms = ", ".join(
            f"{a.behavior}{'' if a.span is None else f' {a.span[0]}-{a.span[1]}'}" for a in line.alarms
        )
        rows.append([
            f"{line.time:%Y-%m-%d %H:%M:%S}", f"{line.score:.3f}", f"{times:,}", line.channel, line.action.value,
            alarms, _mostly(line), text,
        ])  # fmt: skip
    return Section(
        "Flagged texts to look at",
        [
            "The highest scores; a text that came several times is listed once. Places are characters of the text.",
            "" if rows else "Nothing was flagged.",
        ],
        note=(hidden if told.excerpt is None else shown) if rows else "",
        tables=[Table("Flagged texts", headings, rows, words=frozenset({3, 4, 5, 6, 7}))] if rows else [],
    )


def _evidence(text: str, line: LoggedVerdict) -> str:
    """What the worst alarm points at; else the text."""
    spans: Sequence[tuple[int, int]] = [alarm.span for alarm in line.alarms if alarm.span is not None]
    return text[spans[0][0] : spans[0][1]] if spans else text


def _mostly(line: LoggedVerdict) -> str:
    contributions = line.alarms[0].contributions if line.alarms else {}
    name = max(contributions, key=lambda key: contributions[key], default="")
    return f"{name} {contributions[name]:+.1f}" if name else ""


def _known(line: LoggedVerdict) -> str:
    """What identifies the text without telling it."""
    return line.hash[:_HASH] if line.hash else (line.origin or "\u2013")[:40]


def _share(count: int, total: int) -> str:
    return f"{100 * count / max(total, 1):.1f} %"


def _ms(seconds: float) -> str:
    ms = 1000 * seconds
    return f"{ms:.1f}\u00a0ms" if ms < 10 else f"{ms:,.0f}\u00a0ms"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _length(step: int) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if step % size == 0:
            count = step // size
            return f"one {name}" if count == 1 else f"{count} {name}s"
    return f"{step} seconds"
