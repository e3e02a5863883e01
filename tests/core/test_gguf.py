"""GGUF files: what is read is right, and whatever is wrong with one is a `WeightsError`."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alknet_firewall.detector.architecture import block_tensors
from alknet_firewall.detector.gguf import GgufFile
from alknet_firewall.detector.weights import GgufWeights
from alknet_firewall.errors import WeightsError
from tests.gguf_files import BF16, F16, F32, Q4_0, Q4_1, Q8_0, Tensor, gguf, string, tiny_llama, use_all

fuzz = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def test_a_small_file_is_used(tmp_path: Path) -> None:
    use_all(write(tmp_path, tiny_llama()))


def test_metadata_of_every_kind(tmp_path: Path) -> None:
    metadata = {"text": "ü\n", "number": 7, "real": 0.5, "truth": True, "list": [1, -2], "names": ["a", ""]}
    assert GgufFile(write(tmp_path, gguf(metadata, {}))).metadata == metadata


def test_element_types(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 32)).astype(np.float32)
    scale, low = np.float16(0.25), np.float16(-1.5)
    nibbles = rng.integers(0, 16, (2, 32))
    packed = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(
        np.uint8
    )  # value i and value i + 16 share a byte
    signed = rng.integers(-127, 128, (2, 32)).astype(np.int8)
    file = GgufFile(
        write(
            tmp_path,
            gguf(
                {},
                {
                    "f32": ((2, 32), F32, values.tobytes()),
                    "f16": ((2, 32), F16, values.astype(np.float16).tobytes()),
                    "bf16": ((2, 32), BF16, (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()),
                    "q4_0": ((2, 32), Q4_0, b"".join(scale.tobytes() + row.tobytes() for row in packed)),
                    "q4_1": (
                        (2, 32),
                        Q4_1,
                        b"".join(scale.tobytes() + low.tobytes() + row.tobytes() for row in packed),
                    ),
                    "q8_0": ((2, 32), Q8_0, b"".join(scale.tobytes() + row.tobytes() for row in signed)),
                },
            ),
        )
    )
    np.testing.assert_array_equal(file.tensor("f32"), values)
    np.testing.assert_allclose(file.tensor("f16"), values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(file.tensor("bf16"), values, rtol=1e-2)
    np.testing.assert_array_equal(file.tensor("q4_0"), 0.25 * (nibbles - 8))
    np.testing.assert_array_equal(file.tensor("q4_1"), 0.25 * nibbles - 1.5)
    np.testing.assert_array_equal(file.tensor("q8_0"), 0.25 * signed)
    assert all(file.tensor(name).dtype == np.float32 for name in file.tensor_names)


def test_the_default_weights_against_the_gguf_package(weights: GgufWeights) -> None:
    reader = pytest.importorskip("gguf")
    wanted = {
        "token_embd.weight",
        "blk.0.attn_norm.weight",
        "blk.3.ffn_down.weight",
        "blk.29.attn_output.weight",
    }
    for tensor in reader.GGUFReader(weights.path).tensors:
        if tensor.name in wanted:
            expected = reader.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_allclose(weights.file.tensor(tensor.name), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"GG", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"GGUF", "damaged"),
        (gguf({}, {}, version=1), "version 1"),
        (gguf({}, {}, version=4), "version 4"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**64 - 1), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k") + struct.pack("<IIQ", 9, 4, 2**40), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k") + struct.pack("<IIQ", 9, 4, 2**24), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k") + struct.pack("<IIQI", 9, 9, 1, 9), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("k") + struct.pack("<I", 77), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + string("t") + struct.pack("<I", 2**31), "damaged"),
        (gguf({"general.alignment": 0}, {}), "alignment"),
        (gguf({"general.alignment": "x"}, {}), "alignment"),
    ],
)
def test_a_bad_header(tmp_path: Path, content: bytes, why: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(WeightsError, match=why) as caught:
        GgufFile(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        (((2**31, 2**31), F32, b""), "past its end"),
        (((2**62, 2**62, 2**62, 2**62), F16, b""), "past its end"),
        (((3, 5), Q4_0, bytes(100)), "multiple of 32"),
        (((2,), 12, bytes(8)), "element type 12"),
        (((9,), F32, bytes(8)), "past its end"),
    ],
)
def test_a_bad_tensor(tmp_path: Path, tensor: Tensor, why: str) -> None:
    file = GgufFile(write(tmp_path, gguf({}, {"t": tensor})))
    with pytest.raises(WeightsError, match=why):
        file.tensor("t")
    with pytest.raises(WeightsError, match="no tensor 'other'"):
        file.tensor("other")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        GgufFile(tmp_path / "none.gguf")


def test_another_family_names_the_remedy(tmp_path: Path) -> None:
    content = tiny_llama().replace(b"llama", b"gemma")
    with pytest.raises(WeightsError, match="folder with config.json"):
        GgufWeights(write(tmp_path, content))


def test_every_truncation_of_a_small_file(tmp_path: Path) -> None:
    content = tiny_llama()
    for length in range(0, len(content), 7):
        with pytest.raises(WeightsError):
            use_all(write(tmp_path, content[:length]))


def test_truncations_of_the_default_weights(tmp_path: Path, weights: GgufWeights) -> None:
    with weights.path.open("rb") as file:
        head = file.read(4 << 20)
    for length in (0, 3, 4, 23, 24, 1000, 100_000, 1 << 20, 2 << 20, 4 << 20):
        with pytest.raises(WeightsError):
            cut = GgufWeights(write(tmp_path, head[:length]))
            cut.tensor(block_tensors(29)[0])


@fuzz
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    content = bytearray(tiny_llama())
    header = content.index(b"ffn_down") + 40  # the rest is values, where every byte is right
    for place, mask in flips:
        content[place % header] ^= mask
    _only_weights_error(write(tmp_path, bytes(content)))


@pytest.mark.parametrize("size", [0, 2**31])
@pytest.mark.parametrize(
    "key", ["block_count", "embedding_length", "attention.head_count", "attention.head_count_kv"]
)
def test_impossible_sizes(tmp_path: Path, key: str, size: int) -> None:
    content = tiny_llama()
    place = content.index(string(f"llama.{key}")) + len(string(f"llama.{key}")) + 4
    with pytest.raises(WeightsError):
        use_all(write(tmp_path, content[:place] + struct.pack("<I", size) + content[place + 4 :]))


@fuzz
@given(st.integers(0, 10_000), st.integers(0, 2**64 - 1))
def test_huge_numbers_anywhere(tmp_path: Path, place: int, number: int) -> None:
    content = bytearray(tiny_llama())
    place %= content.index(b"ffn_down") + 32
    content[place : place + 8] = struct.pack("<Q", number)
    _only_weights_error(write(tmp_path, bytes(content)))


def _only_weights_error(path: Path) -> None:
    tracemalloc.start()
    try:
        use_all(path)
    except WeightsError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 << 20
