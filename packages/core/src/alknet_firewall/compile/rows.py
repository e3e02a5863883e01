"""Labelled rows: what a codebook is compiled from and judged on.

A file holds one JSON object a line: `text`, `label`, `source`, `channel`, and where known `gid`, `payload`,
`position`, `lang`. Rows of one `gid` belong on one side of any split.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alknet_firewall.errors import DataError
from alknet_firewall.verdict import CHANNELS

BENIGN_LABELS = ("benign", "hard_negative", "honest")
ATTACK_LABELS = ("injection", "jailbreak")
_LONGEST_LINE = 64 << 20  # characters
LABELS = (*BENIGN_LABELS, *ATTACK_LABELS, "harmful", "deception")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text.

    Attributes:
        text: The text as it would be screened.
        label: One of `LABELS`.
        source: Where it comes from; sources weigh the same when a codebook is compiled, and are left out whole.
        channel: One of `alknet_firewall.verdict.CHANNELS`.
        gid: Group: rows of one group are variants of each other and stay on one side of a split.
        payload: The attacking part of `text`, where it is known.
        position: Where the payload stands (`start`, `middle`, `end`), where it is known.
        lang: Language tag, where it is known.
        borrowed: Sources that a composed text took parts from; it is left out together with any of them.
    """

    text: str
    label: str
    source: str
    channel: str
    gid: str = ""
    payload: str = ""
    position: str = ""
    lang: str = ""
    borrowed: tuple[str, ...] = ()


def read_rows(paths: Iterable[Path]) -> Iterator[Row]:
    """Reads labelled rows from JSON-lines files; a folder stands for its `*.jsonl` files, sorted by name.

    Raises:
        DataError: A path does not exist, a folder holds no file, or a row is malformed (names file and line).
    """
    for path in paths:
        files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path}: holds no .jsonl file")
        for file in files:
            yield from _read_file(file)


def _read_file(file: Path) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE + 1), ""), 1):
                if len(line) > _LONGEST_LINE:
                    raise DataError(f"{file}, line {number}: is longer than {_LONGEST_LINE} characters")
                if line.strip():
                    yield _parse_row(line, file, number)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _parse_row(line: str, file: Path, number: int) -> Row:
    where = f"{file}, line {number}"
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(fields).__name__}")
    text, label, channel = fields.get("text"), fields.get("label"), fields.get("channel")
    if not isinstance(text, str):
        raise DataError(f"{where}: `text` must be a string, got {type(text).__name__}")
    if label not in LABELS:
        raise DataError(f"{where}: `label` is {str(label)[:40]!r}; expected one of {', '.join(LABELS)}")
    if channel not in CHANNELS:
        raise DataError(f"{where}: `channel` is {str(channel)[:40]!r}; expected one of {', '.join(CHANNELS)}")
    optional = {key: fields.get(key) or "" for key in ("source", "gid", "payload", "position", "lang")}
    for key, value in optional.items():
        if not isinstance(value, (str, int, float)):
            raise DataError(f"{where}: `{key}` must be a string, got {type(value).__name__}")
        optional[key] = str(value)
        if any("\ud800" <= sign <= "\udfff" for sign in optional[key]) and key != "payload":
            raise DataError(f"{where}: `{key}` holds a lone surrogate, which no file can; name it otherwise")
    return Row(
        text,
        label,
        optional["source"] or file.stem,
        channel,
        optional["gid"],
        optional["payload"],
        optional["position"],
        optional["lang"],
    )
