"""Labelled rows: what is read, and the file and line of what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alknet_firewall.compile.rows import Row, read_rows
from alknet_firewall.errors import DataError

GOOD = {"text": "Grüße", "label": "benign", "source": "made", "channel": "user"}


def write(path: Path, *lines: object) -> Path:
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8"
    )
    return path


def test_all_fields(tmp_path: Path) -> None:
    optional = {"gid": "g", "payload": "p", "position": "end", "lang": "de"}
    path = write(tmp_path / "a.jsonl", {**GOOD, **optional, "subset": "ignored"}, "", GOOD, "  ")
    assert list(read_rows([path])) == [
        Row("Grüße", "benign", "made", "user", "g", "p", "end", "de"),
        Row("Grüße", "benign", "made", "user"),
    ]


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path / f"{name}.jsonl", {**GOOD, "source": ""})
    write(tmp_path / "other.txt", "not read")
    assert [row.source for row in read_rows([tmp_path])] == ["a", "b", "c"]  # the file's name stands in


def test_null_stands_for_nothing(tmp_path: Path) -> None:
    [row] = read_rows([write(tmp_path / "a.jsonl", {**GOOD, "gid": None, "lang": None})])
    assert (row.gid, row.lang) == ("", "")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object, got list"),
        ({**GOOD, "text": None}, "`text` must be a string, got NoneType"),
        ({**GOOD, "text": 5}, "`text` must be a string, got int"),
        ({**GOOD, "label": "bad"}, "`label` is 'bad'; expected one of benign"),
        ({**GOOD, "label": ["benign"]}, "`label` is"),
        (
            {**GOOD, "channel": "email"},
            "`channel` is 'email'; expected one of user, document, tool, response",
        ),
        ({"label": "benign", "channel": "user"}, "`text`"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_row_names_file_and_line(tmp_path: Path, line: object, why: str) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, line, GOOD)
    with pytest.raises(DataError) as caught:
        list(read_rows([path]))
    assert str(caught.value).startswith(f"{path}, line 2: ") and why in str(caught.value)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\xff"}')
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_rows([tmp_path / "a.jsonl"]))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.jsonl file"):
        list(read_rows([tmp_path]))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_rows([tmp_path / "none.jsonl"]))
