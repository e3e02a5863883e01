"""`alknet-firewall inspect` and `doctor`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.cli import checks
from alknet_firewall.cli.app import app
from alknet_firewall.cli.checks import State
from alknet_firewall.cli.described import described, log_odds_at
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.hosts import Host
from alknet_firewall.plugins import Plugins


def run(*arguments: object, columns: int = 80) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


@pytest.mark.parametrize("columns", [80, 120])
def test_inspect_tells_what_is_in_a_codebook(tmp_path: Path, make_codebook: Any, columns: int) -> None:
    file = tmp_path / "own.safetensors"
    hostile = {"note": "\x1b[2J[bold]", "rows": {"a": {"benign": 1200}, "b": {"benign": 5, "injection": 2}}}
    file.write_bytes(make_codebook(provenance=hostile).to_bytes())
    found = run("inspect", file, columns=columns)
    assert found.exit_code == 0, found.stderr
    assert max(map(len, found.stdout.splitlines())) <= columns
    for told in ("a tiny random Llama", "behavior injection", "template_end", "lexical", "together", "2,000"):
        assert told in found.stdout
    assert "2 sources: 1,205 benign, 2 injection" in found.stdout
    assert "␛[2J[bold]" in found.stdout and "\x1b" not in found.stdout


def test_inspect_as_json(tmp_path: Path, make_codebook: Any) -> None:
    file = tmp_path / "own.safetensors"
    file.write_bytes(make_codebook().to_bytes())
    told = json.loads(run("inspect", file, "--json").stdout)
    assert told["taps"] == [1, 2] and told["group"] == ["injection", "jailbreak"]
    directions = told["behaviors"]["injection"]["directions"]
    assert [one["readout"] for one in directions] == ["attention", "template_end", "lexical"]
    # Benign and attack are normal densities one unit apart, of variance 1/2: AUROC Phi(1).
    assert [one["separation"] for one in directions] == pytest.approx([0.8413] * 3, abs=0.02)


def test_inspect_of_the_bundled_codebook() -> None:
    told = json.loads(run("inspect", "--json").stdout)
    assert set(told["group"]) <= set(told["behaviors"])
    assert all(one["benign_texts"] > 99 for one in told["combined"].values())


def test_inspect_of_what_is_no_codebook(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x" * 100)
    for name in ("x", "missing"):
        found = run("inspect", tmp_path / name)
        assert found.exit_code == 1 and str(tmp_path / name) in found.stderr.replace("\n", "")


def test_log_odds_at_a_rate_turn_the_table_around() -> None:
    table = RateTable.fit(np.random.default_rng(0).normal(size=5000))
    for rate in (0.1, 0.05, 0.01, 0.001):
        found = log_odds_at(table, rate)
        assert found is not None and np.exp(table.log_rate(found)) == pytest.approx(rate, rel=1e-6)
    assert log_odds_at(table, 0.0001) is None


def test_description_has_no_numpy_types(make_codebook: Any) -> None:
    json.dumps(described(make_codebook()))


@pytest.mark.parametrize("columns", [80, 120])
def test_doctor_finds_this_installation_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "alknet_firewall.plugins.manager.entry_points", lambda **_: ()
    )  # hosts: see their own tests
    found = run("doctor", columns=columns)
    assert found.exit_code == 0, found.stdout + found.stderr
    assert max(map(len, found.stdout.splitlines())) <= columns
    for told in (
        "backend onnxruntime",
        "self-test injection",
        "self-test benign",
        "self-test jailbreak",
        "cache",
    ):
        assert told in found.stdout
    assert "SHA-256" in found.stdout and "Everything that was tested works." in found.stdout


def test_doctor_fails_where_a_self_test_does(tmp_path: Path, tiny: Any, make_codebook: Any) -> None:
    (tmp_path / "codebook.safetensors").write_bytes(make_codebook().to_bytes())
    file = tmp_path / "firewall.toml"
    file.write_text(f'codebook = "codebook.safetensors"\nweights = "{tiny.path.as_posix()}"\n')
    found = run("doctor", "--config", file)  # this codebook knows one letter only
    assert found.exit_code == 1 and "Failed: self-test injection" in found.stdout
    assert "expected to be flagged" in found.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("max_tokenz = 1", "did you mean max_tokens?"),
        ('codebook = "missing.safetensors"', "missing.safetensors"),
        ('backend = "abacus"', "abacus"),
        ('plugins = ["nobody"]', "nobody"),
        ('weights = "/nowhere/weights.gguf"', "no such file"),
    ],
)
def test_doctor_names_what_is_wrong_and_goes_on(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "firewall.toml"
    file.write_text(line)
    found = run("doctor", "--config", file, columns=200)
    assert found.exit_code == 1 and told in found.stdout and "alknet-firewall" in found.stdout
    assert "failed" in found.stdout and "Failed: " in found.stdout


def test_doctor_tells_where_settings_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (finding,) = checks.settings(None)
    assert "no file in this folder" in finding.text
    (tmp_path / "alknet-firewall.toml").write_text("threads = 1\n")
    monkeypatch.setenv("ALKNET_FIREWALL_MAX_TOKENS", "100")
    (finding,) = checks.settings(None)
    assert finding.text == "alknet-firewall.toml, ALKNET_FIREWALL_MAX_TOKENS"


def test_doctor_tells_of_cache_and_broken_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path / "cache"))
    cache, threads = checks.surroundings(FirewallConfig(threads=3))
    assert cache.state is State.WARNING and "not writable" in cache.text and threads.text.startswith("3 of")
    found = list(checks.plugins(Plugins(broken={"theirs": "ImportError: x"})))
    assert found[-1].state is State.WARNING and "theirs" in found[-1].about


def _stops(stopped: bool) -> Callable[[Firewall, str], Awaitable[bool]]:
    async def probe(firewall: Firewall, text: str) -> bool:
        return stopped and bool(text)

    return probe


async def _breaks(firewall: Firewall, text: str) -> bool:
    raise ImportError("the host is too old")


@pytest.mark.parametrize(
    ("probe", "package", "state", "told"),
    [
        (_stops(True), "pytest", State.GOOD, "was stopped"),
        (_stops(False), "pytest", State.FAILED, "NOT stopped"),
        (_breaks, "pytest", State.FAILED, "the host is too old"),
        (_stops(True), "no-such-framework", State.FAILED, "is not installed"),
    ],
)
def test_doctor_probes_hosts(probe: Any, package: str, state: State, told: str) -> None:
    finding = checks.host(Host("theirs", package, "Switched on.", probe), Firewall())
    assert finding.state is state and told in finding.text
