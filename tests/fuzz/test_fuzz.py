"""A slice of the fuzzing, what it found once, and the harness itself."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from alknet_firewall import FirewallConfig
from alknet_firewall.codebook.compose import Thresholds
from alknet_firewall.compile.rows import read_rows
from alknet_firewall.detector.tokenizer import load_tokenizer
from alknet_firewall.detector.weights import GgufWeights, open_weights
from alknet_firewall.errors import ConfigError, DataError, WeightsError
from alknet_firewall.evaluate.held_out import scored_held_out
from alknet_firewall.sae import SAE, SAEError
from alknet_firewall.sae.config import parse_config
from tests import tiny
from tests.fuzz.__main__ import main
from tests.fuzz.binaries import refused
from tests.fuzz.flips import ARTEFACTS, WRONG, flips
from tests.fuzz.mutate import LARGEST, mutated, mutated_json
from tests.fuzz.registry import factories, target_of
from tests.fuzz.runner import run, shares
from tests.fuzz.target import input_of
from tests.gguf_files import tiny_llama

INPUTS = 200
DEADLINE = 3.0  # seconds after which an input of the sham that hangs is given up


@pytest.mark.parametrize("name", list(factories()))
def test_a_slice_of_the_inputs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))  # targets choose another one: it is put back
    target = target_of(name)
    try:
        for number in range(INPUTS):
            target.run(input_of(target, 0, number))
    finally:
        target.close()


@pytest.mark.parametrize("name", list(factories()))
def test_the_same_input_again(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))
    one, other = target_of(name), target_of(name)
    try:
        for number in (0, 1, 2, 50):
            assert input_of(one, 7, number) == input_of(other, 7, number)
        assert len({input_of(one, 7, number) for number in range(50)}) > 25, "inputs should differ"
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("name", list(ARTEFACTS))
def test_a_slice_of_the_flips(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_CACHE", str(tmp_path))
    artefact = ARTEFACTS[name]()
    try:
        for _, place, mask, came in flips(artefact, 1, range(40 if name == "weights" else 200)):
            assert came != WRONG, f"byte {place} flipped by {mask}"
    finally:
        artefact.close()


def test_mutations_are_bounded_and_by_the_generator_alone() -> None:
    seed = b'{"a": [1, 2.5, "text"], "b": {"c": null}}' * 20
    for number in range(300):
        first, second = (mutated(random.Random(number), seed, [b"other"]) for _ in range(2))
        assert first == second and len(first) <= LARGEST
    value = {"a": [1, 2.5, "text"], "b": {"c": None}}
    found = {repr(mutated_json(random.Random(number), value)) for number in range(100)}
    assert len(found) > 50 and value == {"a": [1, 2.5, "text"], "b": {"c": None}}


def test_shares_add_up() -> None:
    names = list(factories())
    assert sum(shares(1_000_003, names).values()) == 1_000_003
    assert list(shares(10, ["sham_fine"]).values()) == [10]


@pytest.mark.skipif(sys.platform == "win32", reason="the worker is ended by a signal")
def test_the_harness_notices_and_goes_on(tmp_path: Path) -> None:
    names = ["sham_fine", "sham_finding", "sham_hang", "sham_crash", "sham_memory"]
    state = run(60, tmp_path, names, deadline=DEADLINE, report=lambda line: None)
    counted = {name: (one.done, one.findings, one.hangs, one.crashes) for name, one in state.targets.items()}
    assert counted == {
        "sham_fine": (12, 0, 0, 0),
        "sham_finding": (12, 2, 0, 0),
        "sham_hang": (12, 0, 1, 0),
        "sham_crash": (12, 0, 0, 2),
        "sham_memory": (12, 1, 0, 0),
    }
    kept = {path.name for path in (tmp_path / "findings").glob("*.bin")}
    assert kept == {"sham_finding-3.bin", "sham_finding-7.bin", "sham_hang-5.bin", "sham_crash-2.bin", "sham_crash-9.bin", "sham_memory-4.bin"}
    assert (tmp_path / "findings" / "sham_hang-5.bin").read_bytes() == b"5"
    assert "no answer within" in (tmp_path / "findings" / "sham_hang-5.txt").read_text()
    again = run(60, tmp_path, names, deadline=DEADLINE, report=lambda line: pytest.fail("nothing is left to do"))
    assert again == state
    more = run(65, tmp_path, names, report=lambda line: None)
    assert sum(one.done for one in more.targets.values()) == 65
    with pytest.raises(ValueError, match="of seed 0"):
        run(65, tmp_path, names, seed=1)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def status(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
        return main()

    folder = str(tmp_path)
    assert status("run", "--state", folder, "--inputs", "20", "--targets", "sham_fine") == 0
    assert "sham_fine: 20 of 20, 0 findings" in capsys.readouterr().out
    assert status("run", "--state", folder, "--inputs", "20", "--targets", "sham_finding") == 1
    with pytest.raises(SystemExit) as usage:
        status("run", "--state", folder, "--inputs", "5", "--targets", "nothing")
    assert usage.value.code == 2 and "'nothing' is unknown" in capsys.readouterr().err
    assert status("flips", "--count", "5", "--artefacts", "note", "--state", folder) == 0
    assert status("flips", "--count", "8", "--artefacts", "note", "--state", folder) == 0
    assert "note: 8 flips" in capsys.readouterr().out


# What fuzzing and reading found, each as small as it gets.


def safetensors_file(path: Path, header: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.write_weights(tmp_path)


def refusal_of_weights(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        weights = open_weights(str(folder))
        weights.digest(1)
    refused(caught.value)
    return str(caught.value)


def test_a_deep_config_was_a_recursion_error(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"[" * 100_000)
    assert "nested too deeply" in refusal_of_weights(folder)


def test_a_version_with_control_characters_stood_in_the_message(folder: Path) -> None:
    described = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**described, "version": "\x02.0"}), "utf-8")
    with pytest.raises(WeightsError, match="damaged") as caught:
        load_tokenizer(open_weights(str(folder)))
    refused(caught.value)


def test_many_wrong_settings_made_a_message_of_pages(tmp_path: Path) -> None:
    path = tmp_path / "alknet-firewall.toml"
    path.write_text("".join(f"{name} = 1\n" for name in ("unheard", "of", "such", "keys", "as", "these", "are")))
    with pytest.raises(ConfigError, match="and 3 more") as caught:
        FirewallConfig.from_file(path)
    refused(caught.value)
    assert str(caught.value).count("the keys here are") == 1


def test_a_type_with_control_characters_stood_in_the_message(folder: Path) -> None:
    safetensors_file(folder / "model.safetensors", b'{"a":{"dtype":"F\x1b[2J","shape":[4],"data_offsets":[0,16]}}')
    refusal_of_weights(folder)
    (folder / "model.safetensors").write_bytes(b"")
    safetensors_file(folder / "model.safetensors", '{"a":{"dtype":"F\u009b","shape":[4],"data_offsets":[0,16]}}'.encode())
    refusal_of_weights(folder)


def test_of_two_files_with_a_tensor_one_was_taken(folder: Path) -> None:
    (folder / "other.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert "is in model.safetensors, too" in refusal_of_weights(folder)


def test_of_a_tensor_that_comes_twice_one_was_taken(folder: Path) -> None:
    one = b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
    safetensors_file(folder / "model.safetensors", b"{" + one + b"," + one + b"}")
    assert "same key twice" in refusal_of_weights(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_weights_was_waited_for(folder: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert "not a regular file" in refusal_of_weights(folder)


@pytest.mark.parametrize("change", [{"rope_theta": 1e999}, {"rms_norm_eps": 2}, {"num_key_value_heads": 3}, {"vocab_size": -1}])
def test_settings_that_no_decoder_has(folder: Path, change: dict[str, float]) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({**config, **change}).replace("Infinity", "1e999"))
    refusal_of_weights(folder)


def test_a_gguf_file_that_shrinks_ended_the_process(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama())
    weights = GgufWeights(path)
    digest, rows = weights.file_digest, weights.embedded(np.array([[0, 5]]))
    assert digest == hashlib.sha256(tiny_llama()).hexdigest()
    with path.open("r+b") as file:
        file.truncate(0)
    np.testing.assert_array_equal(weights.embedded(np.array([[0, 5]])), rows)


def test_of_two_gguf_tensors_or_keys_of_one_name_the_last_was_taken(tmp_path: Path) -> None:
    path, content = tmp_path / "model.gguf", tiny_llama()
    path.write_bytes(content.replace(b"blk.0.attn_k.weight", b"blk.0.attn_q.weight"))
    with pytest.raises(WeightsError, match="comes twice"):
        GgufWeights(path)
    key = struct.pack("<Q", 1) + b"k" + struct.pack("<II", 4, 1)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + key + key)
    with pytest.raises(WeightsError, match="comes twice"):
        GgufWeights(path)


def test_many_small_arrays_took_much_memory(tmp_path: Path) -> None:
    """Items are counted over all arrays: 4 bytes of file become 32 in memory."""
    array = struct.pack("<IIQ", 9, 4, 1 << 20) + bytes(4 << 20)
    keys = b"".join(struct.pack("<Q", 1) + bytes([97 + i]) + array for i in range(5))
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 5) + keys)
    with pytest.raises(WeightsError, match="items"):
        GgufWeights(tmp_path / "model.gguf")


def test_a_large_value_stood_in_the_message_of_an_autoencoder(tmp_path: Path) -> None:
    for k in ("x" * 5000, list(range(5000))):
        (tmp_path / "cfg.json").write_text(json.dumps({"architecture": "topk", "d_in": 4, "d_sae": 6, "k": k}))
        with pytest.raises(SAEError) as caught:
            SAE.load(tmp_path)
        refused(caught.value)


def test_a_hook_of_thousands_of_digits_was_a_value_error() -> None:
    config = parse_config({"d_in": 4, "d_sae": 6, "hook_name": f"blocks.{'9' * 5000}.hook_resid_post"})
    with pytest.raises(SAEError) as caught:
        _ = config.tap
    refused(caught.value)


def test_objects_in_place_of_names_were_written_out(tmp_path: Path) -> None:
    row = {"text": "a", "label": "benign", "channel": "user", "gid": {"a": [1] * 1000}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match="`gid` must be a string, got dict"):
        list(read_rows([tmp_path / "rows.jsonl"]))


@pytest.mark.parametrize("rate", ["NaN", "true", "-1e999", "1"])
def test_rates_that_are_none(tmp_path: Path, rate: str) -> None:
    line = '{"text": "a", "label": "benign", "channel": "user", "log_rate": ' + rate + "}"
    (tmp_path / "rows.jsonl").write_text(line)
    with pytest.raises(DataError, match="log_rate"):
        scored_held_out(tmp_path / "rows.jsonl", Thresholds(0.01, 0.02))
