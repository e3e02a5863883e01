"""Configuration: which source wins, what is refused, and that refusals name place, key, value and remedy."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall.config import BehaviorSettings, FirewallConfig
from alknet_firewall.errors import ConfigError


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ALKNET_FIREWALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(*, file: Path | None = None, **arguments: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        FirewallConfig(**arguments) if file is None else FirewallConfig.from_file(file, **arguments)
    assert type(caught.value) is ConfigError
    return str(caught.value)


def test_defaults() -> None:
    config = FirewallConfig()
    assert (config.codebook, config.weights, config.threads, config.plugins) == (None, None, None, None)
    assert (config.backend, config.precision, config.max_tokens) == ("auto", "auto", 32_768)
    assert (config.on_long, config.on_error, config.allow_moving_revision) == ("review", "block", False)
    assert (config.block_false_alarm_rate, config.review_false_alarm_rate) == (0.01, 0.02)
    assert config.behaviors == {}


def test_frozen_equal_and_pickled() -> None:
    config = FirewallConfig(threads=2, behaviors={"harmful": {"action": "inform"}})
    with pytest.raises(ValueError, match="frozen"):
        config.threads = 3  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_refusal_survives_pickling() -> None:
    with pytest.raises(ConfigError) as caught:
        FirewallConfig(threads=0)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_later_sources_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(
        tmp_path / "pyproject.toml",
        "[tool.other]\nx = 1\n"
        "[tool.alknet-firewall]\nthreads = 1\nmax_tokens = 101\non_long = 'block'\nbackend = 'torch'\n"
        "[tool.alknet-firewall.behaviors.harmful]\nblock = 0.001\nreview = 0.01\naction = 'inform'\n",
    )
    written(
        tmp_path / "alknet-firewall.toml",
        "max_tokens = 102\non_long = 'review'\nbackend = 'b'\n[behaviors.harmful]\nreview = 0.02\n",
    )
    monkeypatch.setenv("ALKNET_FIREWALL_ON_LONG", "screen_all")
    monkeypatch.setenv("ALKNET_FIREWALL_BACKEND", "c")
    monkeypatch.setenv("ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION", "review")
    config = FirewallConfig.discover(backend="d")
    assert (config.threads, config.max_tokens, config.on_long, config.backend) == (1, 102, "screen_all", "d")
    assert config.behaviors == {"harmful": BehaviorSettings(block=0.001, review=0.02, action="review")}


def test_behavior_settings_given_by_the_caller_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION", "off")
    monkeypatch.setenv("ALKNET_FIREWALL_BEHAVIORS__MY_OWN__BLOCK", "0.5")
    config = FirewallConfig(behaviors={"harmful": BehaviorSettings(block=0.1)})
    assert config.behaviors["harmful"] == BehaviorSettings(block=0.1, action="off")
    assert config.behaviors["my_own"] == BehaviorSettings(block=0.5)


def test_only_discover_reads_the_working_directory(tmp_path: Path) -> None:
    written(tmp_path / "alknet-firewall.toml", "on_error = 'allow'\n")
    assert FirewallConfig().on_error == "block"
    assert FirewallConfig.discover().on_error == "allow"


def test_discover_without_files_or_table(tmp_path: Path) -> None:
    assert FirewallConfig.discover() == FirewallConfig()
    written(tmp_path / "pyproject.toml", "[project]\nname = 'x'\n")
    assert FirewallConfig.discover() == FirewallConfig()


def test_from_file_reads_that_file_alone(tmp_path: Path) -> None:
    written(tmp_path / "alknet-firewall.toml", "threads = 7\n")
    other = written(tmp_path / "deep" / "other.toml", "max_tokens = 99\n")
    config = FirewallConfig.from_file(other)
    assert (config.max_tokens, config.threads) == (99, None)
    table = written(tmp_path / "deep" / "pyproject.toml", "[tool.alknet-firewall]\nthreads = 5\n")
    assert FirewallConfig.from_file(str(table)).threads == 5


@pytest.mark.parametrize("name", ["my.toml", "pyproject.toml"])
def test_paths_in_a_file_are_relative_to_it(tmp_path: Path, name: str) -> None:
    header = "[tool.alknet-firewall]\n" if name == "pyproject.toml" else ""
    written(tmp_path / "etc" / name, f"{header}codebook = '../mine.safetensors'\nweights = 'model.gguf'\n")
    config = FirewallConfig.from_file(Path("etc") / name)
    assert config.codebook == tmp_path / "etc" / "../mine.safetensors"
    assert config.weights == str(tmp_path / "etc" / "model.gguf")


def test_other_paths_stay_as_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CODEBOOK", "here.safetensors")
    assert FirewallConfig().codebook == Path("here.safetensors")
    hub = f"hub:owner/name@{'0' * 40}"
    file = written(tmp_path / "a.toml", f"weights = '{hub}'\ncodebook = '{tmp_path / 'x'}'\n")
    monkeypatch.delenv("ALKNET_FIREWALL_CODEBOOK")
    config = FirewallConfig.from_file(file)
    assert (config.weights, config.codebook) == (hub, tmp_path / "x")
    home = FirewallConfig.from_file(written(tmp_path / "b.toml", "codebook = '~/x'\n")).codebook
    assert home == Path.home() / "x"


@pytest.mark.parametrize(("text", "expected"), [("", ()), ("one", ("one",)), (" one, two ,", ("one", "two"))])
def test_plugins_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_PLUGINS", text)
    assert FirewallConfig().plugins == expected


def test_an_empty_variable_is_not_set_and_the_cache_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_THREADS", "")
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", "somewhere")
    assert FirewallConfig() == FirewallConfig(threads=None)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("threads", 0, "greater than or equal to 1"),
        ("threads", "many", "valid integer"),
        ("threads", True, "should not be true or false"),
        ("max_tokens", 15, "greater than or equal to 16"),
        ("max_tokens", 20.5, "valid integer"),
        ("on_long", "cut", "'screen_all', 'review' or 'block'"),
        ("on_error", "ignore", "'block', 'review', 'allow' or 'raise'"),
        ("block_false_alarm_rate", 0, "greater than 0"),
        ("block_false_alarm_rate", 1.1, "less than or equal to 1"),
        ("block_false_alarm_rate", float("nan"), "should be"),
        ("block_false_alarm_rate", True, "should not be true or false"),
        ("review_false_alarm_rate", 0.005, "at least 0.01 (default block_false_alarm_rate)"),
        ("allow_moving_revision", "perhaps", "boolean"),
        ("plugins", "one,two", "tuple"),
        ("behaviors", 3, "a table"),
        ("behaviors", {"harmful": "block"}, "a table"),
        ("behaviors", {1: {}}, "string"),
        ("behaviors", {"harmful": {"action": "shout"}}, "'block', 'review', 'inform' or 'off'"),
        ("behaviors", {"harmful": {"block": 0.2, "review": 0.1}}, "at least 0.2"),
    ],
)
def test_bad_arguments(key: str, value: Any, allowed: str) -> None:
    message = refusal(**{key: value})
    assert message.startswith(f"argument {key}")
    assert allowed in message
    assert "pydantic" not in message


def test_a_default_at_odds_with_a_setting_names_the_setting(tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "block_false_alarm_rate = 0.05\n")
    message = refusal(file=file)
    assert "default review_false_alarm_rate = 0.02" in message
    assert f"at least 0.05 ({file}: block_false_alarm_rate)" in message


def test_bad_values_name_the_source_that_won(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "threads = 0\non_long = 'x'\n[behaviors.harmful]\nblock = 2\n")
    monkeypatch.setenv("ALKNET_FIREWALL_ON_LONG", "y")
    lines = refusal(file=file, max_tokens=3).splitlines()
    assert len(lines) == 4
    assert any(line.startswith(f"{file}: threads = 0: ") for line in lines)
    assert any(line.startswith(f"{file}: behaviors.harmful.block = 2: ") for line in lines)
    assert any(line.startswith("environment variable ALKNET_FIREWALL_ON_LONG = 'y': ") for line in lines)
    assert any(line.startswith("argument max_tokens = 3: ") for line in lines)


def test_unknown_keys_name_the_nearest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = written(tmp_path / "a.toml", "on-eror = 'block'\n[behaviors.harmful]\nacton = 'off'\n")
    lines = refusal(file=file).splitlines()
    assert f"{file}: on-eror: unknown key; did you mean on_error?" in lines
    assert f"{file}: behaviors.harmful.acton: unknown key; did you mean behaviors.harmful.action?" in lines
    assert refusal(thread=3) == "argument thread: unknown key; did you mean threads?"
    assert "the keys here are codebook, weights," in refusal(zzz=1)
    table = written(tmp_path / "pyproject.toml", "[tool.alknet-firewall]\nbackends = 'x'\n")
    assert refusal(file=table) == (
        f"{table}: [tool.alknet-firewall] backends: unknown key; did you mean backend?"
    )


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("ALKNET_FIREWALL_THREDS", "did you mean ALKNET_FIREWALL_THREADS?"),
        ("ALKNET_FIREWALL_THREADS__X", "did you mean ALKNET_FIREWALL_THREADS?"),
        (
            "ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTON",
            "did you mean ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION?",
        ),
        ("ALKNET_FIREWALL_BEHAVIORS", "as in ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION=block"),
        ("ALKNET_FIREWALL_BEHAVIORS__HARMFUL", "as in ALKNET_FIREWALL_BEHAVIORS__HARMFUL__ACTION=block"),
    ],
)
def test_unknown_variables(monkeypatch: pytest.MonkeyPatch, variable: str, remedy: str) -> None:
    monkeypatch.setenv(variable, "1")
    message = refusal()
    assert message.startswith(f"environment variable {variable}: ")
    assert message.endswith(remedy)


def test_behavior_settings_alone_raise_the_same_error() -> None:
    with pytest.raises(ConfigError, match=r"argument blok: unknown key; did you mean block\?"):
        BehaviorSettings(blok=0.1)
    with pytest.raises(ConfigError, match=r"review = 0.1: should be at least 0.2 \(argument block\)"):
        BehaviorSettings(block=0.2, review=0.1)


def test_long_values_are_shortened() -> None:
    assert len(refusal(on_long="x" * 10_000)) < 200


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"threads = 1\nthreads = \n", "line 2"),
        (b"threads = 1\n[behaviors", "at the end, line 2"),
        (b"threads = 1\nbackend = '\xff'\n", "line 2: not UTF-8 (byte 0xff)"),
    ],
)
def test_files_that_are_not_toml(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    message = refusal(file=file)
    assert message.startswith(f"{file}: ")
    assert told in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none.toml'}: cannot be read: " in refusal(file=tmp_path / "none.toml")
    assert "cannot be read: " in refusal(file=tmp_path)
    bare = written(tmp_path / "pyproject.toml", "[tool]\n")
    assert refusal(file=bare) == f"{bare}: there is no table [tool.alknet-firewall] in it"
    written(bare, "[tool]\nalknet-firewall = 3\n")
    assert refusal(file=bare) == f"{bare}: [tool.alknet-firewall] should be a table"
    written(bare, "tool = 3\n")
    assert "should be a table" in refusal(file=bare)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbfthreads = 3\r\nbackend = 'x'\r\n")
    assert FirewallConfig.from_file(file).threads == 3
