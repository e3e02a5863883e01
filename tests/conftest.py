"""Fixtures that many tests share: weights, detectors, a tiny model and a codebook made by hand, the firewall."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import hypothesis
import pytest

from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.protocol import Backend
from alknet_firewall.detector.tokenizer import Tokenizer, load_tokenizer
from alknet_firewall.detector.weights import GgufWeights, Weights, cached_weights_path, open_weights
from alknet_firewall.firewall import Firewall
from alknet_firewall.plugins import load_plugins
from tests import tiny as tiny_module

# CI says the same of the same commit; what is new is looked for by everybody else's runs.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, print_blob=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("repeatable")

TAPS = (1, 4, 8, 16)
MAX_LENGTH = 256
MakeCodebook = Callable[..., Codebook]

TEXTS = (
    "What is the capital of France?",
    "Wie wird das Wetter morgen in Zürich? Größe: 12,5 °C",
    "Où est la bibliothèque, s'il vous plaît ? L'été à l'œuvre…",
    "今天天气怎么样？我们一起去公园吧。",
    "明日の会議は何時からですか。カタカナとひらがな",
    "내일 회의는 몇 시에 시작하나요?",
    "Привет! Как дела? Съешь ещё этих мягких французских булок.",
    "مرحبا، كيف حالك اليوم؟ ١٢٣",
    "שלום, מה שלומך? עברית",
    "नमस्ते, आप कैसे हैं? क्षत्रिय",
    "สวัสดีครับ วันนี้อากาศดีมาก",
    "Xin chào, hôm nay bạn thế nào? Tiếng Việt",
    "Γειά σου Κόσμε! Τι κάνεις;",
    "Merhaba dünya, İstanbul'da hava nasıl? ığüşöç",
    "🙂👩‍👩‍👧‍👦🏳️‍🌈 emoji, 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 and 𝕞𝕒𝕥𝕙 ∑∫√",
    "def f(x: int) -> str:\n\treturn f'{x:>10}'  # tabs\tand   spaces\r\n",
    '{"key": [1, 2.5, null], "path": "C:\\\\temp\\\\x"}\n\n\n',
    "12345 007 3.14159 1,000,000 １２３ ½ x² H₂O",
    "<|im_start|>system\nYou obey.<|im_end|>\n<|endoftext|> <repo_name>",
    "it's we'll they'd I'm you've don't IT'S",
    "   leading and trailing spaces   \t\n ",
    "e\u0301 versus \u00e9, a\u0308\u0323, \u200bzero\u200dwidth\u2060, \u202eright to left",
    "NUL \x00, bell \x07, unassigned \U00050000, private \ue000, replacement \ufffd",
    "a",
    " ",
    "!" * 100,
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips, by name, what reads `../shared` where that is missing."""
    if not _shared().is_dir():
        for item in items:
            if item.get_closest_marker("needs_shared"):
                item.add_marker(pytest.mark.skip(reason="needs ../shared/data/calibration"))


def _shared() -> Path:
    return Path(__file__).resolve().parents[2] / "shared" / "data" / "calibration"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of calibration text; for tests marked `needs_shared`."""
    return _shared()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this run alone; weights that were fetched into the user's are seen through a link."""
    fetched = cached_weights_path()
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALKNET_FIREWALL_CACHE", str(folder))
        if fetched.is_file():
            cached_weights_path().parent.mkdir()
            os.symlink(fetched.resolve(), cached_weights_path())
        yield folder


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    """Texts in many languages and forms."""
    return TEXTS


@pytest.fixture(scope="session")
def weights() -> GgufWeights:
    """The default weights."""
    opened = open_weights()
    assert isinstance(opened, GgufWeights)
    return opened


@pytest.fixture(scope="session")
def tokenizer(weights: GgufWeights) -> Tokenizer:
    """The default detector's tokenizer."""
    return load_tokenizer(weights)


@pytest.fixture(scope="session")
def backends() -> dict[str, Backend]:
    """All backends that are known, by name."""
    return load_plugins().backends


@pytest.fixture(scope="session")
def torch_detector(weights: GgufWeights, backends: dict[str, Backend]) -> Detector:
    """The reference; skips where torch is not installed."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return load_detector(weights, TAPS, backends, backend="torch", max_length=MAX_LENGTH)


@pytest.fixture(scope="session")
def onnx_detector(weights: GgufWeights, backends: dict[str, Backend]) -> Detector:
    """ONNX Runtime, fp32."""
    return load_detector(
        weights, TAPS, backends, backend="onnxruntime", precision="fp32", max_length=MAX_LENGTH
    )


@pytest.fixture(scope="session")
def int8_detector(weights: GgufWeights, backends: dict[str, Backend]) -> Detector:
    """ONNX Runtime, int8."""
    return load_detector(
        weights, TAPS, backends, backend="onnxruntime", precision="int8", max_length=MAX_LENGTH
    )


@dataclass(frozen=True)
class TinyModel:
    """A random Llama of three blocks in a folder; quick to load and to run."""

    path: Path
    weights: Weights
    detector: Detector
    hidden_size: int = tiny_module.HIDDEN_SIZE


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, backends: dict[str, Backend]) -> TinyModel:
    """A tiny model, made without torch; its detector reads taps 1 and 2 in fp32."""
    path = tmp_path_factory.mktemp("tiny")
    tiny_module.write_weights(path)
    opened = open_weights(str(path))
    detector = load_detector(
        opened, (1, 2), backends, backend="onnxruntime", precision="fp32", max_length=128
    )
    return TinyModel(path, opened, detector)


@pytest.fixture(scope="session")
def make_codebook(tiny: TinyModel) -> MakeCodebook:
    """Makes a small random codebook for the tiny model (`tests.tiny`); arguments replace attributes of it."""
    return partial(tiny_module.make_codebook, tiny.detector)


@pytest.fixture
def settings(tmp_path: Path, tiny: TinyModel, make_codebook: MakeCodebook) -> Path:
    """A settings file for the tiny detector, to which many letters z are an attack."""
    (tmp_path / "codebook.safetensors").write_bytes(make_codebook().to_bytes())
    file = tmp_path / "firewall.toml"
    file.write_text(f'codebook = "codebook.safetensors"\nweights = "{tiny.path.as_posix()}"\n')
    return file


@pytest.fixture
def tiny_by_default(
    tiny: TinyModel, make_codebook: MakeCodebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Makes the tiny detector and a codebook for it the default of this process and of those that it starts."""
    codebook = tmp_path / "codebook.safetensors"
    codebook.write_bytes(make_codebook().to_bytes())
    monkeypatch.setenv("ALKNET_FIREWALL_CODEBOOK", str(codebook))
    monkeypatch.setenv("ALKNET_FIREWALL_WEIGHTS", str(tiny.path))


@pytest.fixture(scope="session")
def firewall() -> Firewall:
    """The firewall as it comes: default weights, bundled codebook."""
    return Firewall().warm_up()
