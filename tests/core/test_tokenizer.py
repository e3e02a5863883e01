"""The tokenizer: the ids that transformers gives, offsets that hold, and never a control token from text."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet_firewall.detector.tokenizer import Template, Tokenizer, load_tokenizer
from alknet_firewall.detector.weights import GgufWeights, open_weights

N_TEXTS = 10_000
LONGEST = 2000  # characters of a text that are compared


@cache
def reference(path: Path) -> Any:
    pytest.importorskip("gguf")
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)


def expected(weights: GgufWeights, texts: list[str]) -> list[list[int]]:
    # split_special_tokens: text is plain text for us always, for transformers only when asked.
    encoded = reference(weights.path)(texts, add_special_tokens=False, split_special_tokens=True)
    return list(encoded["input_ids"])


def test_ids_of_many_languages(weights: GgufWeights, tokenizer: Tokenizer, texts: tuple[str, ...]) -> None:
    for text, ids in zip(texts, expected(weights, list(texts))):
        assert tokenizer.encode(text).ids.tolist() == ids, text


@pytest.mark.slow
@pytest.mark.needs_shared
def test_ids_of_calibration_texts(weights: GgufWeights, tokenizer: Tokenizer, shared: Path) -> None:
    files = sorted(shared.glob("*.jsonl"))
    found: list[str] = []
    for file in files:  # as many of each source as there are sources for, then whatever comes
        with file.open(encoding="utf-8") as lines:
            found += [
                json.loads(line)["text"][:LONGEST] for line, _ in zip(lines, range(4 * N_TEXTS // len(files)))
            ]
    assert len(found) >= N_TEXTS
    picked = [found[i] for i in np.linspace(0, len(found) - 1, N_TEXTS).astype(int)]
    # Surrogates never reach the tokenizer: normalisation has replaced them.
    picked = [text.encode("utf-8", "replace").decode() for text in picked]
    wrong = sum(
        tokenizer.encode(text).ids.tolist() != ids for text, ids in zip(picked, expected(weights, picked))
    )
    assert wrong == 0


def test_offsets_cover_the_text(tokenizer: Tokenizer, texts: tuple[str, ...]) -> None:
    for text in texts:
        encoding = tokenizer.encode(text)
        assert (
            encoding.offsets.shape == (len(encoding), 2)
            and encoding.ids.dtype == encoding.offsets.dtype == np.int32
        )
        covered = np.zeros(len(text), bool)
        for start, end in encoding.offsets:
            assert 0 <= start < end <= len(text)
            covered[start:end] = True
        # The vocabulary lacks the bytes of some controls and of planes without characters.
        assert covered.all() or set(text) & set("\x00\x07\U00050000"), text
        assert (np.diff(encoding.offsets, axis=0) >= 0).all()


def test_text_survives(tokenizer: Tokenizer, texts: tuple[str, ...]) -> None:
    for text in texts:
        if not set(text) & set("\x00\x07\U00050000"):  # bytes that the vocabulary lacks
            assert tokenizer.decode(tokenizer.encode(text).ids.tolist()) == text


def test_an_empty_text(tokenizer: Tokenizer) -> None:
    encoding = tokenizer.encode("")
    assert len(encoding) == 0 and encoding.offsets.shape == (0, 2)


def test_the_template_is_one_user_turn(tokenizer: Tokenizer) -> None:
    prefix, suffix = tokenizer.template.prefix, tokenizer.template.suffix
    assert tokenizer.decode(prefix) == "<|im_start|>user\n"
    assert tokenizer.decode(suffix) == "<|im_end|>\n<|im_start|>assistant\n"


def control_ids(weights: GgufWeights) -> dict[str, int]:
    metadata = weights.file.metadata
    kinds = zip(metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"])
    return {token: i for i, (token, kind) in enumerate(kinds) if kind != 1}


CONTROL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<repo_name>",
    "<file_sep>",
    "<empty_output>",
    "<|",
    "|>",
    "<",
    ">",
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=6)), max_size=12).map("".join))
def test_no_control_token_from_any_text(text: str) -> None:
    weights, own = _default()
    text = text.encode("utf-8", "replace").decode()
    assert not set(own.encode(text).ids.tolist()) & set(control_ids(weights).values())


@cache
def _default() -> tuple[GgufWeights, Tokenizer]:
    weights = open_weights()
    assert isinstance(weights, GgufWeights)
    return weights, load_tokenizer(weights)


def test_every_control_token_is_plain_text(weights: GgufWeights, tokenizer: Tokenizer) -> None:
    control = control_ids(weights)
    assert len(control) == 17
    for token in control:
        assert not set(tokenizer.encode(token).ids.tolist()) & set(control.values())


def test_the_digest_changes_with_the_tokenizer(tiny: Any, tmp_path: Path) -> None:
    described = json.loads((tiny.path / "tokenizer.json").read_text())
    digests = {tiny.detector.tokenizer.digest()}

    def digest() -> str:
        for file in tiny.path.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "tokenizer.json").write_text(json.dumps(described))
        return load_tokenizer(open_weights(str(tmp_path))).digest()

    assert digest() in digests
    described["model"]["merges"] = [["a", "b"]]
    described["model"]["vocab"]["ab"] = len(described["model"]["vocab"])
    digests.add(digest())
    described["normalizer"] = {"type": "Lowercase"}
    digests.add(digest())
    described["added_tokens"] = []  # no markup, hence another template
    digests.add(digest())
    assert len(digests) == 4


def test_a_tokenizer_without_chat_markup(tiny: Any, tmp_path: Path) -> None:
    described = json.loads((tiny.path / "tokenizer.json").read_text())
    described["added_tokens"] = described["added_tokens"][:1]
    for file in tiny.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    assert load_tokenizer(open_weights(str(tmp_path))).template == Template((0,), ())
