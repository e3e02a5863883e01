"""`alknet-firewall calibrate`: false-alarm rates from your own traffic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.cli.own_texts import Given, measuring_engine, read_by_channel, screened
from alknet_firewall.cli.screen import Channel
from alknet_firewall.errors import DataError

if TYPE_CHECKING:
    from alknet_firewall.cli.calibrated import ChannelCalibration
    from alknet_firewall.codebook.codebook import Codebook
    from alknet_firewall.codebook.text_rates import WindowLogOdds


def calibrate_command(
    benign: Annotated[
        list[Path],
        typer.Option(help="Your traffic: JSON lines with `text` (and `channel`), or one plain text a line."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the new codebook goes.")],
    channel: Annotated[Channel, typer.Option(help="Of texts that do not name theirs.")] = Channel.USER,
    codebook: Annotated[
        Path | None, typer.Option(help="Codebook to start from (default: the configured one).")
    ] = None,
    false_alarm_rate: Annotated[
        float,
        typer.Option(
            min=1e-6, max=0.5, help="The rate that you mean to block at; checked against the texts."
        ),
    ] = 0.01,
    vetted: Annotated[
        bool,
        typer.Option(
            "--vetted",
            help="You made sure that no attack is among the texts: none is looked for or set aside.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell what was done as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Fit the false-alarm rates of a codebook to traffic of your own; what it recognises stays as it is.

    The texts need no labels, and a few attacks among them do no harm: what looks like an attack is set aside, 5 % at
    most, and named. Texts that are labelled as benign are taken at their word.
    """
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.detector.cache import write_atomically

    texts = read_by_channel(benign, channel.value)
    _check_labels(texts.values())
    _check_counts({name: len(listed) for name, listed in texts.items()}, false_alarm_rate)
    engine = measuring_engine(settings(config, codebook))
    found = screened(engine, texts)
    _check_counts({name: len(listed) for name, listed in found.items()}, false_alarm_rate)
    fitted, told = _calibrated(engine.codebook, found, vetted, false_alarm_rate)
    try:
        write_atomically(out, fitted.to_bytes())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    if as_json:
        channels = {name: one.to_dict() for name, one in told.items()}
        done = {"codebook": str(out), "false_alarm_rate": false_alarm_rate, "channels": channels}
        typer.echo(json.dumps(done, ensure_ascii=False))
    else:
        from alknet_firewall.cli.calibrated import show

        show(told, out, false_alarm_rate)


def _check_labels(texts: Iterable[Sequence[Given]]) -> None:
    for listed in texts:
        for given in listed:
            if given.label is not None and not given.vetted:
                raise DataError(
                    f"{given.file}, line {given.line}: is labelled {given.label[:40]!r}; "
                    "false-alarm rates come from benign text alone"
                )


def _check_counts(counts: dict[str, int], rate: float) -> None:
    from alknet_firewall.codebook.recalibrate import FEWEST

    total = sum(counts.values())
    if total < FEWEST:
        raise DataError(
            f"{total} texts say too little about a false-alarm rate: {FEWEST} are needed, {FEWEST - total} more. "
            "Collect traffic for longer; until then the codebook's own rates are the better guess."
        )
    for channel, count in counts.items():
        known = max(count, FEWEST)  # a small channel is filled up with texts of the others
        # A rate under 1 / (known + 1) is never reported, so with fewer texts nothing would ever be blocked.
        if rate * (known + 1) < 1:
            raise DataError(
                f"channel {channel}: {count} texts cannot show a false-alarm rate of {rate:g}; that takes "
                f"{round(1 / rate) - 1:,} at least. Give more text, or a higher --false-alarm-rate."
            )


def _calibrated(
    codebook: Codebook,
    found: dict[str, list[tuple[Given, WindowLogOdds]]],
    vetted: bool,
    rate: float,
) -> tuple[Codebook, dict[str, ChannelCalibration]]:
    from alknet_firewall.cli.calibrated import channel_calibration
    from alknet_firewall.codebook.recalibrate import OwnText, recalibrated
    from alknet_firewall.codebook.text_rates import text_log_rates

    own = {
        channel: [OwnText(log_odds, vetted or given.vetted) for given, log_odds in listed]
        for channel, listed in found.items()
    }
    done = recalibrated(codebook, own, {"false_alarm_rate": rate})
    told = {
        channel: channel_calibration(
            [given for given, _ in listed],
            done.attack_chances[channel],
            before=text_log_rates(codebook, channel, [log_odds for _, log_odds in listed]),
            known=done.known[channel],
            rate=rate,
        )
        for channel, listed in found.items()
    }
    return done.codebook, told
