"""The benchmarks run: each script by its cheapest way, on a tiny detector. No time is judged here."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alknet_firewall.detector.detector import Detector
from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.verdict import CHANNELS
from benchmarks.harness import deberta, fill, timing
from benchmarks.harness.report import Goal, figure
from benchmarks.harness.steps import Steps, missing
from benchmarks.harness.texts import text_of
from tests.conftest import MakeCodebook, TinyModel

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture
def tiny_firewall(tiny_by_default: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny detector by default, and no rests between measurements."""
    monkeypatch.setattr(timing, "_REST", 0)


@pytest.fixture
def tiny_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DeBERTa so small that it is exported in a moment."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    size = deberta.Size("xsmall", 32, 2, 64, num_hidden_layers=1, vocab_size=100)
    monkeypatch.setitem(deberta.SIZES, "xsmall", size)
    monkeypatch.setattr(deberta, "FOLDER", tmp_path)


def run(name: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    script(name).main(list(arguments))
    return capsys.readouterr().out


def script(name: str) -> ModuleType:
    return import_module(f"benchmarks.{name}")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_measures_and_how_to_run_it(name: str) -> None:
    module = script(name)
    assert callable(module.main)
    assert f"python benchmarks/{name}.py" in str(module.__doc__)


@pytest.mark.usefixtures("tiny_firewall")
def test_latency_prints_times_ratios_and_goals(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run("latency", capsys, "--peers", "--tokens", "16", "520", "--rounds", "1")
    assert re.search(r"\| \*\*`screen\(\)`, onnxruntime fp32\*\* \| [\d.]+ \| [\d.]+ \|", printed)
    assert "| TF-IDF filter |" in printed or "skipped: TF-IDF filter" in printed
    assert "time a token from 512 tokens on" in printed
    assert "- machine: " in printed and "load average" in printed and "seed 0" in printed


@pytest.mark.usefixtures("tiny_firewall", "tiny_peer")
def test_latency_sets_screen_beside_models_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ("--peers", "xsmall", "--tokens", "16", "600", "--rounds", "1")
    printed = run("latency", capsys, *wanted)
    assert "skipped: DeBERTa" not in printed
    assert re.search(
        r"\| DeBERTa-v3-xsmall, torch fp32 \| [\d.]+ \|  \|", printed
    )  # long texts in the quick ones only
    assert re.search(r"\| DeBERTa-v3-xsmall, onnxruntime int8 \| [\d.]+ \| [\d.]+ \|", printed)
    assert re.search(r"\| DeBERTa-v3-xsmall, onnxruntime fp32 \| [\d.]+ \([\d.]+–[\d.]+\) \|", printed)


@pytest.mark.usefixtures("tiny_firewall")
def test_a_backend_that_cannot_be_had_is_skipped_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(
        "latency",
        capsys,
        "--backends",
        "abacus",
        "onnxruntime:int4",
        "--peers",
        "--tokens",
        "16",
        "--rounds",
        "1",
    )
    assert "skipped: screen() on abacus (" in printed
    assert "skipped: screen() on onnxruntime:int4 (" in printed
    assert "## Milliseconds" not in printed


@pytest.mark.usefixtures("tiny_firewall")
def test_throughput_counts_answers(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ("--batches", "1", "3", "--callers", "1", "4", "--requests", "12", "--rounds", "1")
    printed = run("throughput", capsys, *wanted)
    assert printed.count("| 12 of 12 |") == 2
    assert "| answers lost, doubled or mistaken | 0 | 0 | yes |" in printed


@pytest.mark.usefixtures("tiny_firewall")
def test_a_cascade_stands_between_its_first_stage_and_everything(
    make_codebook: MakeCodebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    deep = {
        name: replace(own, weights=own.weights[[0, 0]] * np.float32([[1, 0, 1], [1, 1, 1]]), biases=own.biases[[0, 0]])
        for name, own in make_codebook().behaviors.items()
    }  # fmt: skip
    for band, share in ((-1e9, "100.0%"), (1e9, "0.0%")):
        codebook = make_codebook(behaviors=deep, cascade=dict.fromkeys(CHANNELS, band))
        file = tmp_path / f"{share}.safetensors"
        file.write_bytes(codebook.to_bytes())
        monkeypatch.setenv("ALKNET_FIREWALL_CODEBOOK", str(file))
        rows = tmp_path / "rows.jsonl"
        texts = [f'{{"text": "text {i} {"a " * 30}", "label": "benign", "channel": "tool"}}' for i in range(4)]
        rows.write_text("\n".join(texts))
        wanted = ("--tokens", "16", "--texts", "3", "--passes", "1")
        printed = run("cascade", capsys, str(rows), *wanted)
        assert re.search(rf"\| 16 tokens \| 3 \| {share} of 3 \| [\d.]+ \|", printed)
        assert re.search(r"\| as they are \| 3 \|", printed) and "as shipped over first stage alone" in printed
    monkeypatch.setattr(script("cascade"), "SHARED", tmp_path / "missing")
    assert "no labelled rows are given" in run("cascade", capsys, *wanted)


@pytest.mark.usefixtures("tiny_firewall")
def test_without_a_cascade_there_is_nothing_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert "skipped: the cascade (" in run("cascade", capsys)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_firewall")
def test_startup_measures_fresh_processes(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run("startup", capsys, "--repeats", "1", "--tokens", "100", "300", "--idle", "0.05")
    assert re.search(r"\| first verdict, warm cache \| \d", printed)
    assert re.search(r"\| a text of 300 tokens \| \d", printed) or "skipped: memory" in printed


@pytest.mark.usefixtures("tiny_firewall")
def test_roofline_leaves_out_what_the_codebook_forbids(capsys: pytest.CaptureFixture[str]) -> None:
    module = script("roofline")
    machine = module.Machine({"int8": 1e9, "fp32": 1e9}, 1e7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "measure_machine", lambda *_: machine)  # large products take their time
        printed = run("roofline", capsys, "--batches", "1x16", "2x16", "--rounds", "1")
    assert "skipped: the detector in int8 (" in printed
    assert re.search(r"\| 2 × 16 \| [\d.e-]+ \|", printed)


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_bare_products_run(precision: str) -> None:
    products = import_module("benchmarks.harness.products")
    assert len(products.bare([(8, 16), (8, 8), (16, 8)], 4, precision, 1)()) == 3


def test_operations_are_those_of_the_matrices(tiny: TinyModel) -> None:
    products = import_module("benchmarks.harness.products")
    shape = tiny.weights.architecture
    block = 32 * (32 + 2 * 16) + 32 * 32 + 3 * 32 * 48  # q, k, v; out; gate, up, down
    assert products.weights_in(shape, 2) == 2 * block
    assert products.operations(shape, 1, [3, 5]) == (2 * block * 8, 4 * 32 * (9 + 25))


@pytest.mark.usefixtures("tiny_firewall")
def test_profile_shares_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run("profile", capsys, "--tokens", "16", "--repeats", "2")
    steps = re.search(r"\| step .*?\n\n", printed, re.DOTALL)
    assert steps
    shares = [float(share) for share in re.findall(r"\| ([\d.-]+)% \|", steps.group())]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert {"tokenise", "detector", "score"} <= set(re.findall(r"^\| (\w+) \|", steps.group(), re.MULTILINE))
    assert re.search(r"^\| [A-Z]\w+ \| [\d.]+ \| [\d.]+% \|$", printed, re.MULTILINE)  # a kind of node


def test_the_profile_knows_the_steps_of_the_package() -> None:
    assert missing(script("profile").PLACES) == []


def test_precision_asks_for_rows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["precision.py"])
    script("precision").main()
    assert "give labelled rows" in capsys.readouterr().out


def test_install_size_without_uv_is_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script("install_size"), "find_uv", lambda: None)
    assert "skipped: size of an install" in run("install_size", capsys)


def test_a_distribution_is_counted_with_what_was_compiled_from_it(tmp_path: Path) -> None:
    files = {
        "thing/__init__.py": 3,
        "thing/data.bin": 50,
        "other.py": 1000,
        "thing-1.0.dist-info/RECORD": None,
    }
    record = "thing/__init__.py,,\nthing/data.bin,,\n"
    for name, size in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(record.encode() if size is None else bytes(size))
    from importlib.util import cache_from_source

    compiled = Path(cache_from_source(str(tmp_path / "thing" / "__init__.py")))
    compiled.parent.mkdir()
    compiled.write_bytes(bytes(7))
    module = script("install_size")
    assert module.distributions(tmp_path) == {"thing 1.0": 60}
    assert module.size(tmp_path, "*.pyc") == 7


def test_calls_take_turns_and_a_ratio_is_that_of_medians() -> None:
    turns: list[tuple[str, int]] = []
    calls = {name: lambda turn, name=name: turns.append((name, turn)) for name in ("a", "b")}
    found = timing.interleaved(calls, seconds=0, rounds=3, warm=False)
    assert {name: len(times.ms) for name, times in found.items()} == {"a": 3, "b": 3}
    assert [turn for _, turn in turns] == [0, 0, 1, 1, 2, 2]
    quotient = timing.ratio(timing.Times(np.array([1.0, 2, 9])), timing.Times(np.array([4.0, 4, 4])))
    assert (quotient.value, quotient.low, quotient.high) == (0.5, 0.25, 2.25)


def test_time_decides_how_many_rounds_there_are() -> None:
    calls = {"a": lambda _: None}
    assert len(timing.interleaved(calls, seconds=0, least=2)["a"].ms) == 2
    assert len(timing.interleaved(calls, seconds=60)["a"].ms) == 50


@pytest.mark.parametrize("n_tokens", [1, 16, 64, 513, 3000])
def test_a_text_has_as_many_tokens_as_asked(tokenizer: Tokenizer, n_tokens: int) -> None:
    text = text_of(tokenizer, n_tokens, seed=3)
    assert len(tokenizer.encode(text)) == n_tokens
    assert text == text_of(tokenizer, n_tokens, seed=3)
    assert n_tokens == 1 or text != text_of(tokenizer, n_tokens, seed=4)


def test_long_texts_reach_other_models_in_windows() -> None:
    size = deberta.SIZES["base"]
    assert [ids.shape for ids in deberta._ids(size, 64)] == [(1, 64)]
    assert [ids.shape for ids in deberta._ids(size, 2560)] == [(4, 512), (1, 512)]
    assert [ids.shape for ids in deberta._ids(size, 1100)] == [(2, 512), (1, 76)]


def test_timers_count_a_step_without_those_inside_and_go_away(tiny: TinyModel) -> None:
    places = (
        ("outer", "detector.detector:Detector.hidden_states"),
        ("inner", "detector.protocol:hidden_states"),
        ("none", "detector.protocol:no_such_function"),
    )
    before, steps = Detector.hidden_states, Steps()
    with steps.around(places):
        tiny.detector.hidden_states([np.array([1, 2, 3], np.int32)])
    assert Detector.hidden_states is before
    assert missing(places) == ["detector.protocol:no_such_function"]
    assert set(steps.seconds) == {"outer", "inner"}
    assert 0 < steps.seconds["outer"] < steps.seconds["inner"]  # the outer one only passes on


def test_figures_are_put_into_their_place() -> None:
    page = "# A\n<!-- figures: a -->\nold\n<!-- /figures -->\n<!-- figures: b -->\n<!-- /figures -->\n"
    once = fill.filled(page, "b", "\n## Times\n\n| x |\n")
    assert once.endswith("<!-- figures: b -->\n### Times\n\n| x |\n<!-- /figures -->\n") and "old" in once
    assert "old" not in fill.filled(once, "a", "new")
    with pytest.raises(KeyError):
        fill.filled(page, "c", "")


def test_every_place_on_the_page_is_of_a_script() -> None:
    named = re.findall(r"<!-- figures: (\w+) -->", fill.PAGE.read_text(encoding="utf-8"))
    assert named and set(named) <= set(SCRIPTS)


def test_goals_and_figures() -> None:
    assert [Goal("", value, 1.0).met for value in (0.5, 1.0, 2.0, None)] == [
        "yes",
        "yes",
        "**no**",
        "not measured",
    ]
    assert [figure(value) for value in (0, 0.01234, 1.234, 12.34, 1234.5)] == [
        "0",
        "0.0123",
        "1.23",
        "12.3",
        "1234",
    ]
