"""The artefact: the same bytes each time, and nothing but `CodebookError` for what is no codebook."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from alknet_firewall.behavior import Passage
from alknet_firewall.codebook.codebook import FORMAT, MAX_BYTES, Codebook, load_codebook, parse_codebook
from alknet_firewall.codebook.readout import BUILT_IN
from alknet_firewall.codebook.seal import packed, repacked
from alknet_firewall.errors import CodebookError
from alknet_firewall.verdict import CHANNELS

KEY = "alknet_firewall"
Edit = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.fixture
def content(make_codebook: Callable[..., Codebook]) -> bytes:
    return make_codebook().to_bytes()


def edited(content: bytes, edit: Edit) -> bytes:
    """The codebook with its metadata and tensors changed."""
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    del metadata["checksum"]
    tensors = load(content)
    edit(metadata, tensors)
    return packed(tensors, metadata)


def test_round_trip_to_the_same_bytes(
    make_codebook: Callable[..., Codebook], content: bytes, tmp_path: Path
) -> None:
    assert make_codebook().to_bytes() == content
    (tmp_path / "codebook").write_bytes(content)
    loaded = load_codebook(tmp_path / "codebook")
    assert loaded.to_bytes() == content
    original = make_codebook()
    for name in ("fingerprint", "detector", "taps", "precisions", "window", "group", "provenance"):
        assert getattr(loaded, name) == getattr(original, name)
    assert list(loaded.behaviors) == ["injection", "jailbreak"] and set(loaded.combined) == {
        "user",
        "document",
        "tool",
        "response",
    }


def test_a_loaded_codebook_says_the_same(
    make_codebook: Callable[..., Codebook], content: bytes, tiny: Any
) -> None:
    loaded, original = parse_codebook(content, "here"), make_codebook()
    template, ids = tiny.detector.tokenizer.template, tiny.detector.tokenizer.encode("some text zzz zz").ids
    whole = np.array([*template.prefix, *ids, *template.suffix], np.int32)
    states = {t: a[0, len(template.prefix) :] for t, a in tiny.detector.hidden_states([whole]).items()}
    passage = Passage("", ids, np.zeros((len(ids), 2), np.int32), states, len(template.suffix))
    for name in original.behaviors:
        [one], [two] = (book.behaviors[name].assess([passage], "user") for book in (original, loaded))
        assert two.log_odds == pytest.approx(one.log_odds, abs=1e-3)
        assert sum(two.contributions.values()) == pytest.approx(two.log_odds)
        assert set(two.contributions) == {"tap 1", "tap 2", "lexical", "bias"}
        assert two.token_scores is not None and two.token_scores.shape == (len(ids),)
        for channel in ("user", "document", "tool", "response"):
            ours, theirs = (
                book.behaviors[name].false_alarm_rate(1.5, channel, 3) for book in (loaded, original)
            )
            assert ours == theirs


def test_it_loads_in_milliseconds(content: bytes) -> None:
    import time

    started = time.perf_counter()
    for _ in range(10):
        parse_codebook(content, "here")
    assert (time.perf_counter() - started) / 10 < 0.1


def test_a_newer_format(content: bytes) -> None:
    newer = edited(content, lambda metadata, tensors: metadata.update(format=FORMAT + 1))
    with pytest.raises(CodebookError, match=f"format {FORMAT + 1}, this version reads format {FORMAT}"):
        parse_codebook(newer, "here")


def test_the_format_before_reads_windows_as_a_whole(content: bytes) -> None:
    def older(metadata: Any, tensors: Any) -> None:
        metadata.update(format=2)
        for behavior in metadata["behaviors"].values():
            del behavior["stretch"]

    assert {b.stretch for b in parse_codebook(content, "here").behaviors.values()} == {16}
    assert {b.stretch for b in parse_codebook(edited(content, older), "here").behaviors.values()} == {0}


def test_a_readout_that_is_not_installed(content: bytes) -> None:
    with pytest.raises(CodebookError, match="readout 'template_end': install the plugin"):
        parse_codebook(content, "here", {"mean": BUILT_IN["mean"]})


def change(name: str, value: object) -> Edit:
    return lambda metadata, tensors: metadata.update({name: value})


def change_behavior(name: str, value: object) -> Edit:
    return lambda metadata, tensors: metadata["behaviors"]["injection"].update({name: value})


def change_tensor(name: str, make: Callable[[Any], Any]) -> Edit:
    return lambda metadata, tensors: tensors.update({name: np.ascontiguousarray(make(tensors[name]))})


def nan(array: Any) -> Any:
    array = array.copy()
    array.flat[-1] = np.nan
    return array


@pytest.mark.parametrize(
    "edit",
    [
        *(change(name, value) for name in ("taps", "window", "behaviors", "group", "combined") for value in (None, 7, [[]], "x")),
        change("precisions", None), change("precisions", 7), change("taps", [1]), change("taps", [1e999]), change("behaviors", {}), change("window", [1e999, 0]), change("window", [16, 16]),
        change("window", [0, 0]), change("window", [100_000, 1]), change("group", ["other"]), change("combined", ["user", "email"]),
        change_behavior("biases", "x"), change_behavior("biases", [float("nan")]), change_behavior("biases", None),
        change_behavior("biases", [0.0, 1.0]), change("cascade", 7),
        change("cascade", {"user": 0.0}), change("cascade", dict.fromkeys(CHANNELS, 1e999)),
        change_behavior("default_action", "explode"), change_behavior("readouts", []), change_behavior("readouts", ["last"]),
        change_behavior("channels", ["email"]), *(change_behavior("stretch", value) for value in (None, "x", 1.5, True, -1, 5000)),
        *(change_tensor(f"injection.{name}", nan) for name in ("directions", "queries", "offsets", "knots", "benign", "attack", "weights")),
        *(change_tensor(f"injection.{name}", lambda a: a[:-1]) for name in ("directions", "queries", "offsets", "knots", "taps", "words")),
        change_tensor("injection.weights", lambda a: a[:, :-1]), change_tensor("injection.weights", lambda a: a[:0]), change_tensor("injection.weights", lambda a: a[0]),
        change_tensor("injection.knots", lambda a: a[:, ::-1]), change_tensor("injection.knots", lambda a: a[:, :1]),
        change_tensor("injection.user.log_odds", lambda a: a[::-1]), change_tensor("injection.user.log_rates", lambda a: a[::-1]),
        change_tensor("injection.user.tail", lambda a: -a), change_tensor("injection.user.tail", lambda a: a[:1]),
        change_tensor("lexicon.rarity", lambda a: a[:0]), change_tensor("lexicon.rarity", lambda a: a[None]),
        lambda metadata, tensors: tensors.pop("injection.directions"),
        lambda metadata, tensors: tensors.pop("combined.user.tail"),
        lambda metadata, tensors: metadata.pop("fingerprint"),
        lambda metadata, tensors: tensors.clear(),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(content: bytes, edit: Edit) -> None:
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(edited(content, edit), "somewhere")


@pytest.mark.parametrize(
    "edit",
    [
        change_behavior("channels", ["user"]),
        change("combined", ["user"]),
        change_tensor("injection.weights", lambda a: a.astype(np.float64) * 1e300),
        lambda metadata, tensors: [
            tensors.update({f"injection.{n}": np.tile(np.arange(20_000.0), (3, 1))})
            for n in ("knots", "benign", "attack")
        ],
    ],
    ids=[
        "a channel without table",
        "a channel without table of the group",
        "infinite in float32",
        "knots that take all memory",
    ],
)
def test_what_would_fail_only_when_screening(content: bytes, edit: Edit) -> None:
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(edited(content, edit), "somewhere")


def test_missing_large_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(CodebookError, match="cannot be read"):
        load_codebook(tmp_path / "none")
    with pytest.raises(CodebookError, match="cannot be read"):
        load_codebook(tmp_path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CodebookError, match="too many"):
        load_codebook(tmp_path / "large")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        bytes(8),
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (60_000).to_bytes(8, "little") + b"[" * 60_000,
    ],
)
def test_no_codebook_at_all(content: bytes) -> None:
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(content, "somewhere")


_content: list[bytes] = []


@pytest.fixture
def fuzzed(content: bytes) -> None:
    _content[:] = [content]


@pytest.mark.usefixtures("fuzzed")
def test_every_truncation() -> None:
    [content] = _content
    for length in range(0, len(content), len(content) // 100):
        with pytest.raises(CodebookError):
            parse_codebook(content[:length], "here")


@cache
def header_length(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


@pytest.mark.usefixtures("fuzzed")
@settings(max_examples=150, deadline=None)
@given(
    st.booleans(), st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_changed_bytes(in_header: bool, changes: list[tuple[int, int]]) -> None:
    content = bytearray(_content[0])
    size = header_length(_content[0]) if in_header else len(content)
    for place, value in changes:
        content[place % size] = value
    tracemalloc.start()
    try:
        parse_codebook(bytes(content), "here")
    except CodebookError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 << 20


def test_a_flipped_bit_anywhere_is_refused(content: bytes) -> None:
    generator = random.Random(0)
    for _ in range(300):
        flipped = bytearray(content)
        flipped[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        with pytest.raises(CodebookError, match="somewhere"):
            parse_codebook(bytes(flipped), "somewhere")


def test_bytes_behind_the_end(content: bytes) -> None:
    with pytest.raises(CodebookError):
        parse_codebook(content + b"\0", "somewhere")


def without_checksum(content: bytes) -> bytes:
    document = metadata_of(content)
    del document["checksum"]
    return save(load(content), {KEY: json.dumps(document)})


def test_without_checksum(content: bytes) -> None:
    with pytest.raises(CodebookError, match="it has no checksum.*compile it again"):
        parse_codebook(without_checksum(content), "somewhere")
    assert repacked(without_checksum(content)) == content


@pytest.mark.parametrize("checksum", [None, 7, "", "0" * 64, "A" * 64, "g" * 64])
def test_a_garbled_checksum(content: bytes, checksum: object) -> None:
    document = {**metadata_of(content), "checksum": checksum}
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(save(load(content), {KEY: json.dumps(document)}), "somewhere")


def test_a_checksum_that_stands_twice(content: bytes) -> None:
    document = metadata_of(content)
    document["provenance"]["copy"] = document["checksum"]
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(save(load(content), {KEY: json.dumps(document)}), "somewhere")


def test_the_same_key_twice(content: bytes) -> None:
    document = json.dumps(metadata_of(content)).replace(f'"format": {FORMAT}', f'"format": {FORMAT}, "format": {FORMAT}')
    with pytest.raises(CodebookError, match="same key twice"):
        parse_codebook(save(load(content), {KEY: document}), "somewhere")


@pytest.mark.parametrize("name", ["", "x" * 201, "red\x1b[31m", None, 7])
def test_names_that_must_not_be_shown(content: bytes, name: object) -> None:
    with pytest.raises(CodebookError) as caught:
        parse_codebook(edited(content, change("detector", name)), "somewhere")
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 500


def test_figures_that_are_not_known(make_codebook: Callable[..., Codebook]) -> None:
    made = make_codebook(provenance={"held_out": {"auroc": float("nan"), "all": [float("inf"), 1.0]}})
    loaded = parse_codebook(made.to_bytes(), "here")
    assert loaded.provenance == {"held_out": {"auroc": None, "all": [None, 1.0]}}


def test_halves_of_characters(content: bytes) -> None:
    document = metadata_of(content)
    document["provenance"]["note"] = "\ud800"
    with pytest.raises(CodebookError, match="somewhere"):
        parse_codebook(save(load(content), {KEY: json.dumps(document)}), "somewhere")


def test_many_coordinates_are_not_solved_for(content: bytes) -> None:
    """64 knots take 62 x 62 numbers a coordinate: a small file must not ask for gigabytes."""

    def edit(metadata: dict[str, Any], tensors: dict[str, Any]) -> None:
        metadata["behaviors"]["injection"]["readouts"] = ["template_end"] * 5000

    tracemalloc.start()
    with pytest.raises(CodebookError, match="coordinates"):
        parse_codebook(edited(content, edit), "somewhere")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CodebookError, match="not a regular file"):
        load_codebook(tmp_path / "pipe")


def metadata_of(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    document: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    return document
