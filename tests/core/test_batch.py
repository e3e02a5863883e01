"""Data sets in and out: formats, columns, malformed rows, resuming, and that a kill costs nothing."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.batch import Format, Job, Result, screen_dataset
from alknet_firewall.batch.columns import NAMES
from alknet_firewall.batch.output import Output
from alknet_firewall.batch.tally import Tally
from alknet_firewall.cli.app import app
from alknet_firewall.errors import AlknetFirewallError, DataError

ATTACK = "zz zzzz zzz zzzzz"


@pytest.fixture
def config(settings: Path) -> FirewallConfig:
    return FirewallConfig.from_file(settings)


def texts(count: int) -> list[str]:
    rng = random.Random(0)
    made = ["".join(rng.choices("abc dé", k=rng.randint(3, 30))) for _ in range(count)]
    return [ATTACK if i % 7 == 3 else text for i, text in enumerate(made)]


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def run(
    config: FirewallConfig, inputs: Path | Sequence[Path], output: Path, processes: int = 1, **job: Any
) -> Result:
    paths = [inputs] if isinstance(inputs, Path) else inputs
    made = Job(tuple(map(str, paths)), str(output), **{"part_rows": 10, **job})
    return screen_dataset(made, config, processes=processes)


def test_rows_keep_their_form_and_get_the_verdicts_of_the_firewall(
    config: FirewallConfig, tmp_path: Path
) -> None:
    rows = [{"id": i, "text": text, "more": {"a": [1.50, None]}} for i, text in enumerate(texts(35))]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    source.write_bytes(
        b"\xef\xbb\xbf" + source.read_bytes().replace(b"\n", b"  \r\n\n") + b'{"text":"1e2","n":1.0e2}'
    )
    result = run(config, source, tmp_path / "out.jsonl.gz")
    found = read_jsonl(tmp_path / "out.jsonl.gz")
    assert [{name: row[name] for name in ("id", "text", "more")} for row in found[:35]] == rows
    assert b'{"text":"1e2","n":1.0e2, "action"' in gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes())
    assert list(found[0])[3:] == list(NAMES)
    firewall = Firewall(config)
    for row in found:
        verdict = firewall.screen(row["text"], "document")
        assert row["action"] == verdict.action.value and row["flagged"] is verdict.flagged
        assert row["score"] == pytest.approx(verdict.score, abs=1e-3)
        assert row["behaviors"] == [alarm.behavior for alarm in verdict.alarms]
        assert [(span["start"], span["end"]) for span in row["spans"]] == [
            (alarm.span.start, alarm.span.end) for alarm in verdict.alarms if alarm.span
        ]
    flagged = sum(row["flagged"] for row in found)
    assert flagged >= 5 and result.tally.flagged == flagged and result.tally.rows == 36
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.jsonl.gz",
        "out.jsonl.gz.manifest.json",
    ]


def test_csv_keeps_its_fields_and_one_header(config: FirewallConfig, tmp_path: Path) -> None:
    rows = [["id", "note", "body"], *([str(i), 'a "quoted"\nline', text] for i, text in enumerate(texts(25)))]
    with (tmp_path / "in.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    run(config, tmp_path / "in.csv", tmp_path / "out.csv", text_column="body", prefix="fw_")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        header, *found = list(csv.reader(file))
    assert header == [*rows[0], *(f"fw_{name}" for name in NAMES)]
    assert [row[:3] for row in found] == rows[1:]
    assert {row[3] for row in found} == {"allow", "block"} and {row[4] for row in found} == {"true", "false"}


def test_malformed_rows_are_set_aside_and_the_run_goes_on(config: FirewallConfig, tmp_path: Path) -> None:
    good = [json.dumps({"id": i, "text": text}).encode() for i, text in enumerate(texts(20))]
    bad = [
        b"{not json", b"[1]", b'{"text": null, "id": "five"}', b'{"text": 7}', b'{"text": "\xff"}', b"[" * 20000,
        b'{"text": "a", "text": "b"}', b'{"text": "a", "channel": "email"}', b'{"text": "a", "channel": 3}',
    ]  # fmt: skip
    lines = [*good[:3], *bad, b"", *good[3:]]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    write_jsonl(tmp_path / "more.jsonl", [{"text": "fine", "channel": "tool", "id": 1}])
    inputs = [tmp_path / "in.jsonl", tmp_path / "more.jsonl"]
    result = run(config, inputs, tmp_path / "out.jsonl", channel_column="channel", id_column="id")
    assert [row["id"] for row in read_jsonl(tmp_path / "out.jsonl")] == [*range(20), 1]
    assert result.rejected is not None and (result.tally.rows, result.tally.rejected) == (21, 9)
    rejected = read_jsonl(result.rejected)
    assert [row["line"] for row in rejected] == list(range(4, 13))
    assert [row["row"].encode("utf-8", "surrogateescape").strip() for row in rejected] == bad
    assert {row["file"] for row in rejected} == {str(tmp_path / "in.jsonl")} and rejected[2]["id"] == "five"
    told = " ".join(row["problem"] for row in rejected)
    assert "not JSON" in told and "has no value" in told and "same key twice" in told and "email" not in told


def test_malformed_csv(config: FirewallConfig, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'id,text\n1,a\n2\n3,"b"x\n4,"two\nlines"\n5,\xff\n6,c\n7,"open\n8,d\n')
    result = run(config, tmp_path / "in.csv", tmp_path / "out.jsonl", part_rows=2)
    assert [row["id"] for row in read_jsonl(tmp_path / "out.jsonl")] == ["1", "4", "6", "8"]
    assert result.rejected is not None
    assert [row["line"] for row in read_jsonl(result.rejected)] == [3, 4, 7, 9]
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="names a column twice"):
        run(config, tmp_path / "twice.csv", tmp_path / "o.jsonl")


def test_folders_of_texts(config: FirewallConfig, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").write_text("no")
    (folder / "b.txt").write_text("harmless\n")
    (folder / "sub" / "a.md").write_text(ATTACK)
    (folder / "bad.txt").write_bytes(b"\xff\xfe\x00")
    result = run(config, folder, tmp_path / "out", part_rows=1)
    found = [row for path in sorted((tmp_path / "out").glob("part-*.jsonl")) for row in read_jsonl(path)]
    assert [(row["path"], row["flagged"]) for row in found] == [("b.txt", False), ("sub/a.md", True)]
    assert result.rejected == tmp_path / "out" / "_screening" / "rejected.jsonl"
    assert [row["file"] for row in read_jsonl(result.rejected)] == [str(folder / "bad.txt")]
    run(config, folder / "b.txt", tmp_path / "one.jsonl", id_column="file")
    assert read_jsonl(tmp_path / "one.jsonl")[0]["file"] == "b.txt"


@pytest.mark.parametrize(
    "job, message",
    [
        (
            {"text_column": "body"},
            "no column `body` in any of 3 rows; there are: text, score. Name it by --text-column",
        ),
        ({"channel_column": "from"}, "--channel-column"),
        ({"id_column": "key"}, "--id-column"),
        ({}, "columns of its own named score; give the new ones a prefix"),
        ({"output": "in.jsonl"}, "lies within the input"),
        ({"output": "out.csv", "output_format": Format.JSONL}, "the name says csv"),
        ({"inputs": "missing.jsonl"}, "no such file"),
        ({"inputs": "empty.jsonl"}, "no rows"),
        ({"inputs": "cut.jsonl.gz"}, "damaged or cut off"),
        ({"inputs": "list.json"}, "each line should be a JSON object"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(
    config: FirewallConfig, tmp_path: Path, job: dict[str, Any], message: str
) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"text": "a", "score": 1}] * 3)
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "list.json").write_text("[\n1\n]\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "abc"}\n' * 99)[:-20])
    places: dict[str, Any] = {"inputs": (str(tmp_path / job.get("inputs", "in.jsonl")),)}
    places["output"] = str(tmp_path / job.get("output", "out.jsonl"))
    with pytest.raises(DataError) as raised:
        screen_dataset(Job(**{**job, **places}), config)
    assert message in str(raised.value)
    assert not list(tmp_path.glob("out*"))


def test_another_run_is_not_gone_on_with(config: FirewallConfig, tmp_path: Path) -> None:
    source, out = (
        write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(12)]),
        tmp_path / "out.jsonl",
    )
    first = run(config, source, out)
    before = out.read_bytes()
    again = run(config, source, out)
    assert again.resumed == 12 and again.tally == first.tally and out.read_bytes() == before
    with pytest.raises(DataError, match="settings.channel: 'document', now 'tool'"):
        run(config, source, out, channel="tool")
    with pytest.raises(DataError, match="engine.block_false_alarm_rate: 0.01, now 0.001"):
        run(config.model_copy(update={"block_false_alarm_rate": 0.001}), source, out)
    write_jsonl(source, [{"text": "other"}])
    with pytest.raises(DataError, match="input"):
        run(config, source, out)
    assert out.read_bytes() == before
    job = Job((str(source),), str(out))
    assert screen_dataset(job, config, processes=1, overwrite=True).tally.rows == 1
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "file").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="something else is there"):
            screen_dataset(replace(job, output=str(tmp_path / "foreign")), config, overwrite=overwrite)
    (tmp_path / "mine.csv").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        screen_dataset(replace(job, output=str(tmp_path / "mine.csv")), config)


def test_what_cannot_be_loaded_is_a_failure_and_no_verdict(config: FirewallConfig, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a"}])
    broken = config.model_copy(update={"weights": str(tmp_path / "nowhere")})
    with pytest.raises(AlknetFirewallError, match="nowhere"):
        run(broken, source, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def start(settings: Path, source: Path, out: Path) -> subprocess.Popen[bytes]:
    arguments = [
        "screen-dataset",
        source,
        "-o",
        out,
        "--config",
        settings,
        "--part-rows",
        10,
        "--processes",
        1,
    ]
    command = [sys.executable, "-c", "from alknet_firewall.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def markers(out: Path) -> int:
    return len(list(Path(f"{out}.parts").glob("_screening/part-??????.json")))


def reaches(process: subprocess.Popen[bytes], out: Path, parts: int) -> bool:
    """Waits until so many parts are done; False if the process ended before."""
    for _ in range(12_000):
        if markers(out) >= parts:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    raise AssertionError("nothing goes on")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_run_that_is_killed_three_times_gives_the_same(settings: Path, tmp_path: Path) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate(texts(600))]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    source.write_bytes(source.read_bytes() + b"broken\n")
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    assert start(settings, source, whole).wait(120) == 3
    kills = 0
    for parts in sorted(random.Random(1).sample(range(1, 45), 3)):
        process = start(settings, source, killed)
        if reaches(process, killed, parts):
            process.kill()
            kills += 1
        process.wait(60)
    assert kills == 3 and not killed.exists()
    last = start(settings, source, killed)
    assert last.wait(120) == 3
    assert killed.read_bytes() == whole.read_bytes()
    rejected = (Path(f"{path}.rejected.jsonl").read_bytes() for path in (whole, killed))
    assert len(set(rejected)) == 1
    assert [row["id"] for row in read_jsonl(killed)] == list(range(600))
    assert not Path(f"{killed}.parts").exists()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds children in /proc")
def test_a_worker_that_is_killed_is_replaced(settings: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(600)])
    out = tmp_path / "out.jsonl"
    process = start(settings, source, out)
    assert reaches(process, out, 5)
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    [worker] = {int(child) for task in tasks for child in task.read_text().split()}
    os.kill(worker, signal.SIGKILL)
    assert process.wait(120) == 3
    assert [row["text"] for row in read_jsonl(out)] == texts(600)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_one_run_at_a_time(settings: Path, config: FirewallConfig, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(600)])
    process = start(settings, source, tmp_path / "out.jsonl")
    try:
        assert reaches(process, tmp_path / "out.jsonl", 1)
        with pytest.raises(DataError, match="another run is at work"):
            run(config, source, tmp_path / "out.jsonl")
    finally:
        process.kill()
        process.wait(60)


def test_the_command(settings: Path, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "fine"}, {"text": ATTACK}, {"no": 1}])

    def command(*arguments: object) -> Any:
        given = ["screen-dataset", source, "--config", settings, "--processes", 1, *arguments]
        return CliRunner().invoke(app, list(map(str, given)))

    told = command("-o", tmp_path / "out.csv")
    assert told.exit_code == 3 and "malformed, set aside" in told.output and "50 %" in told.output
    again = command("-o", tmp_path / "out.csv", "--json")
    summary = json.loads(again.stdout)
    assert again.exit_code == 3 and (summary["rows"], summary["rejected"], summary["resumed"]) == (2, 1, 3)
    assert command("-o", tmp_path / "out2.csv", "--text-column", "body").exit_code == 1
    assert command().exit_code == 2
    write_jsonl(source, [{"text": "fine"}])
    assert command("-o", tmp_path / "fine.jsonl").exit_code == 0


def test_a_stray_quote_takes_nothing_else_with_it(config: FirewallConfig, tmp_path: Path) -> None:
    """However the file is cut into parts, the same rows come out, and one line is set aside."""
    rows = [f'{i},"fine,\nover lines"\n' if i % 5 == 0 else f"{i},fine\n" for i in range(40)]
    rows[7] = '7,"never closed\n'
    rows[23] = '23,"closed "too early\n'
    table = tmp_path / "in.csv"
    table.write_text("id,text\n" + "".join(rows))
    for part_rows in (3, 100):
        out = tmp_path / f"out{part_rows}.jsonl"
        result = run(config, table, out, part_rows=part_rows)
        assert [int(row["id"]) for row in read_jsonl(out)] == [i for i in range(40) if i not in (7, 23)]
        assert result.rejected is not None
        aside = read_jsonl(result.rejected)
        assert [row["row"] for row in aside] == [rows[7], rows[23]]


def test_names_that_are_no_unicode_stop_no_run(config: FirewallConfig, tmp_path: Path) -> None:
    rows = tmp_path / "in.jsonl"
    rows.write_text('{"text": "a"}\n{"text": "b", "\\ud800": 1}\n')
    assert run(config, rows, tmp_path / "out.csv").tally.rows == 2


def test_the_output_of_a_run_is_not_its_input(config: FirewallConfig, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(12)])
    run(config, source, tmp_path / "folder")
    part = tmp_path / "folder" / "part-000000.jsonl"
    before = part.read_bytes()
    job = Job((str(part),), str(tmp_path / "folder"), prefix="again_")
    with pytest.raises(DataError, match="belongs to the output"):
        screen_dataset(job, config, processes=1, overwrite=True)
    assert part.read_bytes() == before
    aside = write_jsonl(tmp_path / "out.jsonl.rejected.jsonl", [{"text": "a"}])
    with pytest.raises(DataError, match="belongs to the output"):
        run(config, aside, tmp_path / "out.jsonl")


def test_what_was_half_written_is_removed(config: FirewallConfig, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(12)])
    folder = tmp_path / "folder"
    (folder / "_screening").mkdir(parents=True)
    ours = [folder / ".part-000000.jsonl.99.tmp", tmp_path / ".one.jsonl.99.tmp"]
    theirs = tmp_path / ".one.jsonl.gz.99.tmp"  # of another output
    for half in (*ours, theirs):
        half.touch()
    run(config, source, folder)
    run(config, source, tmp_path / "one.jsonl")
    assert not any(half.exists() for half in ours) and theirs.exists()


def test_a_part_that_is_gone_is_screened_again(config: FirewallConfig, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts(12)])
    done = Output(str(tmp_path / "out"), Format.JSONL, False)
    done.notes.mkdir(parents=True)
    marker = {"run": "x", **Tally(rows=10).to_dict()}
    done.marker(0).write_text(json.dumps(marker))
    assert done.done(0, "x") is None
    done.part(0).write_bytes(source.read_bytes())
    assert done.done(0, "x") == Tally(rows=10)


@pytest.mark.parametrize(
    ("dictionary", "state"),
    [({"splits": ["."]}, None), ({"splits": ["../out"]}, None), ({"splits": 7}, None), ({"splits": ["x"]}, [1])],
)
def test_a_saved_data_set_that_leads_elsewhere(
    config: FirewallConfig, tmp_path: Path, dictionary: dict[str, Any], state: object
) -> None:
    saved, split = tmp_path / "saved", tmp_path / "saved" / "x"
    split.mkdir(parents=True)
    (saved / "dataset_dict.json").write_text(json.dumps(dictionary))
    if state is not None:
        (split / "state.json").write_text(json.dumps({"_data_files": state}))
    with pytest.raises(DataError, match="saved"):
        run(config, saved, tmp_path / "out.jsonl")
