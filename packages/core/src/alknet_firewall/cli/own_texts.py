"""Texts of one's own traffic, as `calibrate` and `drift` read them, and what the engine finds in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alknet_firewall.compile.rows import BENIGN_LABELS
from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS

if TYPE_CHECKING:
    from alknet_firewall.codebook.text_rates import WindowLogOdds
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.engine import Engine


@dataclass(frozen=True, slots=True)
class Given:
    """A text as it was given.

    Attributes:
        text: It.
        file: Where it stands.
        line: In that file, from 1.
        label: Its label, if it has one.
    """

    text: str
    file: Path
    line: int
    label: str | None

    @property
    def vetted(self) -> bool:
        """Whether it is labelled as benign."""
        return self.label in BENIGN_LABELS


def read_by_channel(files: Sequence[Path], channel: str) -> dict[str, list[Given]]:
    """The texts of files, by channel.

    Args:
        files: JSON lines with `text` (and `channel`, `label`), or one plain text a line.
        channel: Of texts that do not name theirs.

    Raises:
        DataError: A file cannot be read, a line is malformed, or there is no text.
    """
    texts: dict[str, list[Given]] = {}
    for file in files:
        for given, named in _read(file):
            if given.text.strip():
                texts.setdefault(named or channel, []).append(given)
    if not texts:
        raise DataError(f"{', '.join(map(str, files))}: no text in there")
    return texts


def measuring_engine(config: FirewallConfig) -> Engine:
    """The engine of settings, for what it finds rather than what it decides.

    A behavior that is switched off in the settings is measured all the same: the codebook may serve elsewhere. And a
    codebook that knows too little of rates for their thresholds is not refused: calibration is what mends it.

    Raises:
        AlknetFirewallError: The engine cannot be loaded.
    """
    from alknet_firewall.engine import load_engine

    undecided = {"behaviors": {}, "block_false_alarm_rate": 1.0, "review_false_alarm_rate": 1.0}
    return load_engine(config.model_copy(update={**undecided, "on_long": "screen_all"}))


def screened(
    engine: Engine, texts: Mapping[str, Sequence[Given]]
) -> dict[str, list[tuple[Given, WindowLogOdds]]]:
    """By channel, the texts that hold a token, with the log-odds of their windows; shows progress.

    Raises:
        AlknetFirewallError: A text cannot be screened.
    """
    from alknet_firewall.cli.render import progress_bar
    from alknet_firewall.evaluate.log_odds import window_log_odds

    found: dict[str, list[tuple[Given, WindowLogOdds]]] = {}
    with progress_bar("texts") as progress:
        task = progress.add_task("screening", total=sum(map(len, texts.values())))
        for channel, listed in texts.items():
            windows = window_log_odds(engine, [given.text for given in listed], channel)
            for given, log_odds in zip(listed, windows):
                progress.advance(task)
                if all(len(values) for values in log_odds.values()):
                    found.setdefault(channel, []).append((given, log_odds))
    return found


def _read(file: Path) -> Iterator[tuple[Given, str | None]]:
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
            yield _parse(line, file, number) if as_json else (Given(line, file, number, None), None)


def _parse(line: str, file: Path, number: int) -> tuple[Given, str | None]:
    where = f"{file}, line {number}"
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
        raise DataError(f"{where}: expected a JSON object with a string `text`")
    label, channel = fields.get("label"), fields.get("channel")
    if not isinstance(label, (str, int, float, type(None))):
        raise DataError(f"{where}: `label` must be a string, got {type(label).__name__}")
    if channel is not None and channel not in CHANNELS:
        raise DataError(f"{where}: `channel` is {str(channel)[:40]!r}; expected one of {', '.join(CHANNELS)}")
    return Given(fields["text"], file, number, None if label is None else str(label)), channel
