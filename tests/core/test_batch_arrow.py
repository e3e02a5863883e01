"""Parquet and saved data sets: types stay, parts follow row groups, other formats lead in and out."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import FirewallConfig
from alknet_firewall.batch import Job, Result, screen_dataset
from alknet_firewall.batch.columns import NAMES
from alknet_firewall.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ATTACK = "zz zzzz zzz zzzzz"


@pytest.fixture
def config(settings: Path) -> FirewallConfig:
    return FirewallConfig.from_file(settings)


def run(config: FirewallConfig, source: Path, output: Path, **job: Any) -> Result:
    return screen_dataset(Job((str(source),), str(output), **{"part_rows": 7, **job}), config, processes=1)


def table(rows: int = 25) -> Any:
    texts = [None if i == 4 else ATTACK if i % 5 == 1 else f"text {i}" for i in range(rows)]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int32()),
            "text": pa.array(texts, pa.large_string()),
            "when": pa.array(
                [dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)] * rows, pa.timestamp("us", "UTC")
            ),
            "blob": pa.array([b"\x00\xff"] * rows, pa.binary()),
            "list": pa.array([[i, None] for i in range(rows)], pa.list_(pa.int8())),
        }
    )


def test_parquet_keeps_types_and_rows(config: FirewallConfig, tmp_path: Path) -> None:
    given = table()
    pq.write_table(given, tmp_path / "in.parquet", row_group_size=10)
    result = run(config, tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    kept = given.take([i for i in range(25) if i != 4])
    assert found.select(given.column_names).equals(kept)
    assert found.column_names == [*given.column_names, *NAMES]
    assert found["behaviors"].type == pa.list_(pa.string()) and found["score"].type == pa.float64()
    flagged = found["flagged"].to_pylist()
    assert flagged == [text == ATTACK for text in found["text"].to_pylist()]
    assert json.loads(found["spans"][1].as_py())[0]["behavior"] == "injection"
    assert (result.tally.rows, result.tally.rejected, result.tally.distinct) == (24, 1, 22)
    assert result.rejected is not None
    rejected = json.loads(result.rejected.read_text())
    assert (rejected["line"], rejected["problem"]) == (5, "`text` has no value")
    assert json.loads(rejected["row"])["blob"] == "AP8="


def test_parquet_to_a_folder_and_to_json_lines(config: FirewallConfig, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "README.md").write_text("about")
    for name in "ab":
        pq.write_table(table(8), tmp_path / "in" / f"{name}.parquet")
    run(config, tmp_path / "in", tmp_path / "out")
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert [pq.read_metadata(part).num_rows for part in parts] == [6, 1, 6, 1]
    assert pq.read_table(tmp_path / "out").num_rows == 14  # notes are out of the way of other readers
    run(config, tmp_path / "in", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0] | {"score": 0, "false_alarm_rate": 0} == {
        "id": 0, "text": "text 0", "when": "2026-01-01T00:00:00+00:00", "blob": "AP8=", "list": [0, None],
        "action": "allow", "flagged": False, "score": 0, "false_alarm_rate": 0, "behaviors": [], "spans": [],
        "error": None,
    }  # fmt: skip
    run(config, tmp_path / "in" / "a.parquet", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        second = list(csv.DictReader(file))[1]
    assert second["when"] == "2026-01-01T00:00:00+00:00" and second["list"] == "[1, null]"


def test_json_lines_to_parquet_have_the_same_types_in_every_part(
    config: FirewallConfig, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"text": "a", "n": 1, "m": None, "k": {"b": 1}, "s": "\ud83d\ude00"}] * 9
    rows += [{"text": "b\ud800", "n": 1.5, "m": True, "k": "c", "late": 2**70}, {"text": ATTACK, "n": None}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(config, tmp_path / "in.jsonl", tmp_path / "out.parquet", part_rows=3)
    found = pq.read_table(tmp_path / "out.parquet")
    types = [pa.string(), pa.float64(), pa.bool_(), pa.string(), pa.string(), pa.string()]
    assert found.schema.types[:6] == types and found.column_names[:6] == ["text", "n", "m", "k", "s", "late"]
    assert found["k"].to_pylist()[8:] == ['{"b": 1}', '"c"', None] and found["late"][9].as_py() == str(2**70)
    assert found["text"][9].as_py() == "b\ufffd" and found["s"][0].as_py() == "\U0001f600"
    assert found["flagged"].to_pylist() == [False] * 10 + [True]


def test_saved_data_sets_and_their_splits(config: FirewallConfig, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    splits = {
        name: datasets.Dataset.from_dict({"text": [f"{name} {i}" for i in range(9)] + [ATTACK]})
        for name in ("train", "test")
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "both")
    run(config, tmp_path / "both", tmp_path / "out.parquet")
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["text"][:] == splits["train"]["text"][:] + splits["test"]["text"][:]
    assert loaded["flagged"][:] == ([False] * 9 + [True]) * 2
    run(config, tmp_path / "both" / "test", tmp_path / "test.jsonl")
    assert len((tmp_path / "test.jsonl").read_text().splitlines()) == 10


def test_what_does_not_fit_is_said_before_anything_starts(config: FirewallConfig, tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "d.jsonl").write_text('{"text": "a"}\n')

    def refused(message: str, *names: str, **job: Any) -> None:
        made = Job(tuple(str(tmp_path / name) for name in names), str(tmp_path / "out.parquet"), **job)
        with pytest.raises(DataError, match=message):
            screen_dataset(made, config)

    refused("column `id` is not as in", "a.parquet", "b.parquet")
    refused("c.parquet: cannot be read", "c.parquet")
    refused("cannot be screened together", "a.parquet", "d.jsonl")
    refused("column `id` holds int32, not text", "a.parquet", text_column="id")
    refused("no column `body`", "a.parquet", text_column="body")
    assert not list(tmp_path.glob("out*"))


def test_without_pyarrow_the_extra_is_named(
    config: FirewallConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r'pip install "alknet-firewall\[batch\]"'):
        run(config, tmp_path / "in.jsonl", tmp_path / "out.parquet")


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_text_that_is_not_utf8_is_set_aside(config: FirewallConfig, tmp_path: Path, suffix: str) -> None:
    """Some writers leave such; Arrow reads it and fails when it is looked at."""
    ends, letters = b"".join(n.to_bytes(4, "little") for n in (0, 5, 7, 12)), b"hello\xff\xfeworld"
    text = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(ends), pa.py_buffer(letters)])
    pq.write_table(pa.table({"text": text, "n": [1, 2, 3]}), tmp_path / "in.parquet")
    result = run(config, tmp_path / "in.parquet", tmp_path / f"out.{suffix}")
    assert (result.tally.rows, result.tally.rejected) == (2, 1) and result.rejected is not None
    aside = json.loads(result.rejected.read_text())
    assert aside["line"] == 2 and "not UTF-8" in aside["problem"]
    assert json.loads(aside["row"]) == {"text": "//4=", "n": 2}


def test_a_column_that_is_there_twice(config: FirewallConfig, tmp_path: Path) -> None:
    for name in ("text", "other"):
        twice = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["text", name, name])
        pq.write_table(twice, tmp_path / "in.parquet")
        with pytest.raises(DataError, match=f"names a column twice: {name}"):
            run(config, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_names_that_are_no_unicode_stop_no_run(config: FirewallConfig, tmp_path: Path) -> None:
    rows = tmp_path / "in.jsonl"
    rows.write_text('{"text": "a"}\n{"text": "b", "\\ud800": 1}\n')
    assert run(config, rows, tmp_path / "out.parquet").tally.rows == 2
