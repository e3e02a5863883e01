"""The audit log: what stands in it, the key of its hashes, and that it is told early where it cannot be written."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from alknet_firewall import Action, Alarm, Firewall, Span, Verdict
from alknet_firewall.errors import DataError
from alknet_firewall.stream.audit import AuditLog

CANARY = "canary-77 my card is 4111"
VERDICT = Verdict(
    Action.BLOCK, 0.9, 0.001, (Alarm("injection", Action.BLOCK, 0.9, 0.001, 5.0, {"bias": 5.0}, Span(0, 3)),)
)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_verdict_hash_and_time_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as audit:
        audit.write(VERDICT, CANARY, "tool", 0.012)
        audit.write(VERDICT)
        assert audit.errors == 0
    first, second = lines(path)
    assert first["verdict"] == VERDICT.to_dict()
    assert (first["channel"], first["seconds"], second["channel"]) == ("tool", 0.012, "user")
    assert first["hmac_sha256"] == audit.hash_of(CANARY) and "hmac_sha256" not in second
    assert "canary" not in path.read_text() and "sha256" not in first


def test_the_text_goes_along_if_asked_for(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "audit.jsonl", text=True) as audit:
        audit.write(VERDICT, CANARY)
    assert lines(audit.path)[0]["text"] == CANARY


def test_the_key_is_kept_beside_the_log_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    hashes = set()
    for _ in range(2):
        with AuditLog(path) as audit:
            hashes.add(audit.hash_of(CANARY))
    key = bytes.fromhex((tmp_path / "audit.jsonl.key").read_text())
    assert hashes == {hmac.digest(key, CANARY.encode(), "sha256").hex()}
    assert hashlib.sha256(CANARY.encode()).hexdigest() not in hashes
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.key"]
    if os.name == "posix":
        modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        assert modes == {0o600}


def test_a_key_of_ones_own(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "a.jsonl", key=b"k" * 16) as audit:
        assert audit.hash_of("x") == hmac.digest(b"k" * 16, b"x", "sha256").hex()
    assert not (tmp_path / "a.jsonl.key").exists()
    with pytest.raises(ValueError, match="at least 16"):
        AuditLog(tmp_path / "a.jsonl", key=b"short")


def test_processes_that_start_at_once_agree_on_a_key(tmp_path: Path) -> None:
    script = "import sys; from alknet_firewall.stream.audit import AuditLog; print(AuditLog(sys.argv[1]).hash_of('x'))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "a.jsonl")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        AuditLog(tmp_path / "missing" / "audit.jsonl")
    for bad, message in (("not hex\n", "not a key"), ("00ff\n", "too short")):
        (tmp_path / "a.jsonl.key").write_text(bad)
        with pytest.raises(DataError, match=message):
            AuditLog(tmp_path / "a.jsonl")


def test_conversations_and_streams_tell_it(settings: Path, tmp_path: Path) -> None:
    firewall = Firewall.from_config(settings)
    with AuditLog(tmp_path / "audit.jsonl") as audit:
        firewall.conversation(name="one", sink=audit.sink).add("zzzz zzzz zzzz")
        with firewall.stream(sink=audit.sink) as stream:
            stream.feed("hello")
        audit.write(firewall.screen("hello"), "hello")
    turn, streamed, screened = lines(audit.path)
    assert turn["conversation"] == "one" and turn["hmac_sha256"] == audit.hash_of("zzzz zzzz zzzz")
    assert "offset" in streamed and screened["hmac_sha256"] == audit.hash_of("hello")
    with pytest.raises(ValueError, match="unknown channel"):
        audit.write(firewall.screen("hello"), "hello", "email")
