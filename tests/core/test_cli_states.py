"""`alknet-firewall states` and `alknet-firewall sae`: states out, autoencoders trained on them, and looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner, Result

from alknet_firewall.cli.app import app
from alknet_firewall.detector.detector import Detector
from alknet_firewall.sae import SAE

TEXTS = ["The capital of France is Paris.", "Cats bark at the moon.", "No one knows.", "Water boils when it is hot."]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    labels = ["honest", "deception"] * 2
    rows = [json.dumps({"text": text, "label": label, "channel": "response"}) for text, label in zip(TEXTS, labels)]
    path.write_text("\n".join(rows))
    return path


@pytest.fixture(scope="module")
def states(texts: Path) -> Path:
    out = texts.with_name("states.safetensors")
    found = run("states", texts, "--layers", "0,3", "--tokens", "all", "--out", out, "--threads", 1)
    assert found.exit_code == 0, found.output
    return out


def test_states_are_those_of_the_detector(states: Path, onnx_detector: Detector) -> None:
    found = load_file(states)
    assert set(found) == {"layer.0", "layer.3", "start", "ids"}
    template = onnx_detector.tokenizer.template
    for i, text in enumerate(TEXTS):
        ids = onnx_detector.tokenizer.encode(text).ids
        first, last = found["start"][i : i + 2]
        assert np.array_equal(found["ids"][first:last], ids)
        framed = np.concatenate([template.prefix, ids, template.suffix]).astype(np.int32)
        own = onnx_detector.hidden_states([framed])[4][0, len(template.prefix) : len(template.prefix) + len(ids)]
        assert np.allclose(found["layer.3"][first:last], own, atol=0.05 * np.abs(own).max())


@pytest.mark.parametrize("tokens", ["last", "mean"])
def test_one_state_a_text(texts: Path, states: Path, tmp_path: Path, tokens: str) -> None:
    out = tmp_path / "one.safetensors"
    assert run("states", texts, "--layers", "3", "--tokens", tokens, "--out", out).exit_code == 0
    everything, start = load_file(states)["layer.3"], load_file(states)["start"]
    parts = [everything[a:b] for a, b in zip(start, start[1:])]
    expected = np.stack([part[-1] if tokens == "last" else part.mean(0) for part in parts])
    assert np.allclose(load_file(out)["layer.3"], expected, atol=1e-2)


def test_long_texts_are_cut_and_it_is_told(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut.safetensors"
    found = run("states", texts, "--layers", "0", "--tokens", "all", "--longest", 3, "--out", out)
    assert found.exit_code == 0 and "were cut" in found.stderr
    assert np.diff(load_file(out)["start"]).max() == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--layers", "30"], "past the model"),
        (["--layers", "four"], "expected numbers from 0"),
        (["--layers", "-1"], "expected numbers from 0"),
        (["--layers", ""], "expected numbers from 0"),
        (["--layers", "0", "--tokens", "first"], "is not one of"),
        (["--layers", "0", "--out", "{missing}/below/x"], "cannot be written"),
    ],
)
def test_bad_requests_are_refused(texts: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "file").write_text("")
    out = ["--out", str(tmp_path / "x")] if "--out" not in arguments else []
    wanted = [argument.replace("{missing}", str(tmp_path / "file")) for argument in arguments]
    found = run("states", texts, *out, *wanted)
    assert found.exit_code in (1, 2) and told in found.stderr.replace("\n", " ")


def test_texts_without_a_token_are_told(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"text": " "}))
    found = run("states", path, "--layers", "0", "--out", tmp_path / "x")
    assert found.exit_code == 1 and "no text" in found.stderr


@pytest.fixture(scope="module")
def trained(states: Path) -> Path:
    pytest.importorskip("torch")
    out = states.with_name("sae")
    found = run(
        "sae", "train", "--states", states, "--layer", 3, "--out", out, "--k", 8, "--features", 1, "--steps", 12,
        "--batch", 16, "--device", "cpu", "--threads", 1,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    return out


def test_training_writes_the_form_of_saelens(trained: Path) -> None:
    assert sorted(file.name for file in trained.iterdir()) == [
        "cfg.json", "sae_weights.safetensors", "training.json"
    ]  # fmt: skip
    sae = SAE.load(trained)
    assert (sae.config.architecture, sae.config.k, sae.config.d_sae, sae.config.tap) == ("topk", 8, 576, 4)
    curve = json.loads((trained / "training.json").read_text())
    assert curve[-1]["step"] == 11 and curve[-1]["active"] <= 8


def test_training_on_texts_of_one_label(texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    found = run(
        "sae", "train", "--data", texts, "--label", "deception", "--layer", 0, "--architecture", "jumprelu",
        "--features", 1, "--steps", 3, "--batch", 8, "--device", "cpu", "--threads", 1, "--out", tmp_path / "sae",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "mean threshold" in found.stdout
    assert SAE.load(tmp_path / "sae").config.hook_name == "model.layers.0"


def test_info(trained: Path, states: Path) -> None:
    found = run("sae", "info", trained, "--states", states, "--json")
    told = json.loads(found.stdout)
    assert told["k"] == 8 and told["hook"] == "model.layers.3" and 0 < told["active"] <= 8
    assert "explained" not in json.loads(run("sae", "info", trained, "--json").stdout)
    assert "architecture" in run("sae", "info", trained).stdout


def test_top_texts_of_a_feature(trained: Path, texts: Path) -> None:
    shown = [run("sae", "top", trained, "--data", texts, "--feature", i, "--count", 2) for i in range(0, 576, 96)]
    assert all(found.exit_code == 0 for found in shown)
    assert any("[" in found.stdout for found in shown)
    past = run("sae", "top", trained, "--data", texts, "--feature", 576)
    assert past.exit_code == 1 and "has 576" in past.stderr


def test_top_refuses_an_autoencoder_of_another_model(trained: Path, texts: Path, tmp_path: Path) -> None:
    told = json.loads((trained / "cfg.json").read_text())
    told["metadata"]["hook_name"] = "model.layers.40"
    save_file(load_file(trained / "sae_weights.safetensors"), tmp_path / "sae_weights.safetensors")
    (tmp_path / "cfg.json").write_text(json.dumps(told))
    found = run("sae", "top", tmp_path, "--data", texts, "--feature", 0)
    assert found.exit_code == 1 and "tap 41" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--layer", "3"], "either --data or --states"),
        (["--states", "{states}", "--layer", "5"], "has no 'layer.5'"),
        (["--states", "{texts}", "--layer", "3"], "holds no states"),
        (["--states", "{states}", "--layer", "3", "--architecture", "gated"], "not trained here"),
        (["--states", "{states}", "--layer", "3", "--k", "9999"], "k between 1"),
        (["--states", "{states}", "--layer", "3", "--device", "tpu"], "is not one of"),
        (["--data", "{texts}", "--layer", "99"], "past the model"),
        (["--data", "{texts}", "--layer", "0", "--label", "benign"], "no text is labelled benign"),
    ],
)
def test_bad_trainings_are_refused(
    texts: Path, states: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    pytest.importorskip("torch")
    wanted = [argument.format(texts=texts, states=states) for argument in arguments]
    found = run("sae", "train", "--out", tmp_path / "sae", "--steps", 1, *wanted)
    assert found.exit_code in (1, 2) and told in found.stderr.replace("\n", " ")
