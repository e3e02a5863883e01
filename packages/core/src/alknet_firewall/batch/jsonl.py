"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from alknet_firewall.batch import kinds
from alknet_firewall.batch.lines import BOM, Line, LinesSource


class JsonLines(LinesSource):
    """A file of JSON lines. What is no object in UTF-8 is a malformed row."""

    raws_are_json = True

    def preamble(self, stream: IO[bytes]) -> bytes:
        if stream.read(len(BOM)) == BOM:
            return BOM
        stream.seek(0)
        return b""

    def rows(self, lines: Iterator[bytes], first: int) -> Iterator[Line]:
        for number, raw in enumerate(lines, first):
            if raw.strip():
                values, problem = _parse(raw)
                yield Line(number, raw, values, problem)
            else:
                yield Line(number, raw, None)

    def add_columns(self, columns: dict[str, str], row: dict[str, Any]) -> None:
        kinds.add_row(columns, row)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses equal keys: a later reader may take the first where the last was screened."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyError
    return found


def _parse(raw: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        values = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8 ({error.reason} at byte {error.start})"
    except json.JSONDecodeError as error:
        return {}, f"not JSON ({error.msg} at character {error.pos})"
    except KeyError:
        return {}, "an object with the same key twice"
    except (ValueError, RecursionError) as error:  # numbers too long, brackets too deep
        return {}, f"not JSON that can be read ({type(error).__name__})"
    return (values, None) if isinstance(values, dict) else ({}, "not a JSON object")
