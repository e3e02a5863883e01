"""`alknet-firewall calibrate`: false-alarm rates from your own benign text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.cli.screen import Channel
from alknet_firewall.compile.rows import BENIGN_LABELS
from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS

if TYPE_CHECKING:
    from alknet_firewall.codebook.recalibrate import WindowLogOdds
    from alknet_firewall.firewall import Engine

_FEW = 200


def calibrate_command(
    benign: Annotated[
        list[Path],
        typer.Option(help="Benign texts: JSON lines with `text` (and `channel`), or one plain text a line."),
    ],
    out: Annotated[Path, typer.Option(help="Where the new codebook goes.")],
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
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Fit the false-alarm rates of a codebook to benign text of your own; what it recognises stays as it is."""
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.render import print_warning
    from alknet_firewall.codebook.recalibrate import recalibrated
    from alknet_firewall.detector.cache import write_atomically
    from alknet_firewall.firewall import load_engine

    texts = _by_channel(benign, channel.value)
    for name, listed in texts.items():
        _check_count(name, len(listed), false_alarm_rate)
        if len(listed) < _FEW:
            print_warning(_unsure(name, len(listed), false_alarm_rate))
    # A behavior that is switched off here must be calibrated all the same: the codebook may serve elsewhere.
    chosen = settings(config, codebook).model_copy(update={"behaviors": {}, "on_long": "screen_all"})
    engine = load_engine(chosen)
    found = _log_odds(engine, texts)
    for name, kept in found.items():
        _check_count(name, len(kept), false_alarm_rate)
    fitted = recalibrated(engine.codebook, found)
    try:
        write_atomically(out, fitted.to_bytes())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    _tell({name: len(kept) for name, kept in found.items()}, out, false_alarm_rate)


def _by_channel(files: list[Path], channel: str) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for file in files:
        for text, named in _read(file):
            if text.strip():
                texts.setdefault(named or channel, []).append(text)
    if not texts:
        raise DataError(f"{', '.join(map(str, files))}: no text in there")
    return texts


def _read(file: Path) -> Iterator[tuple[str, str | None]]:
    """Texts of a file with the channel that they name."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    first = next((line for line in lines if line.strip()), "")
    as_json = file.suffix == ".jsonl" or first.lstrip().startswith("{")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _parse(line, f"{file}, line {number}") if as_json else (line, None)


def _parse(line: str, where: str) -> tuple[str, str | None]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
        raise DataError(f"{where}: expected a JSON object with a string `text`")
    label, channel = fields.get("label"), fields.get("channel")
    if label is not None and label not in BENIGN_LABELS:
        raise DataError(f"{where}: is labelled {str(label)[:40]!r}; false-alarm rates come from benign text alone")
    if channel is not None and channel not in CHANNELS:
        raise DataError(f"{where}: `channel` is {str(channel)[:40]!r}; expected one of {', '.join(CHANNELS)}")
    return fields["text"], channel


def _check_count(channel: str, count: int, rate: float) -> None:
    # A rate under 1 / (count + 1) is never reported, so with fewer texts nothing would ever be blocked.
    if rate * (count + 1) < 1:
        raise DataError(
            f"channel {channel}: {count} benign texts cannot show a false-alarm rate of {rate:g}; that takes "
            f"{round(1 / rate) - 1:,} at least. Give more text, or a higher --false-alarm-rate."
        )


def _unsure(channel: str, count: int, rate: float) -> str:
    from alknet_firewall.evaluate.metrics import wilson

    around = wilson(round(rate * count), count)
    return (
        f"channel {channel}: only {count} benign texts; {_FEW} or more are wise. A threshold meant for "
        f"{rate:.1%} false alarms may in truth give up to {around.high:.1%}."
    )


def _log_odds(engine: Engine, texts: dict[str, list[str]]) -> dict[str, list[WindowLogOdds]]:
    from alknet_firewall.cli.render import progress_bar
    from alknet_firewall.evaluate.log_odds import window_log_odds

    found: dict[str, list[WindowLogOdds]] = {}
    with progress_bar("texts") as progress:
        task = progress.add_task("screening", total=sum(map(len, texts.values())))
        for channel, listed in texts.items():
            for windows in window_log_odds(engine, listed, channel):
                progress.advance(task)
                if all(len(values) for values in windows.values()):
                    found.setdefault(channel, []).append(windows)
    return found


def _tell(counts: dict[str, int], out: Path, rate: float) -> None:
    from alknet_firewall.cli.render import console, visible

    name = visible(str(out))
    told = ", ".join(f"{channel} ({count:,} texts)" for channel, count in counts.items())
    kept = ", ".join(channel for channel in CHANNELS if channel not in counts)
    screen = console()
    screen.print(
        f"{name}: false-alarm rates fitted anew for {told}" + (f"; kept for {kept}." if kept else ".")
    )
    screen.print("Use it with these lines in alknet-firewall.toml:")
    screen.print(f'  codebook = "{name}"\n  block_false_alarm_rate = {rate:g}', soft_wrap=True)
    if rate > 0.02:  # the default of review_false_alarm_rate, which must not lie below
        screen.print(f"  review_false_alarm_rate = {min(1.0, 2 * rate):g}")
