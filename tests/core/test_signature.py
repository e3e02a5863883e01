"""Signed codebooks: what is forged, altered, rolled back, or signed by somebody else does not load."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load
from typer.testing import CliRunner

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.cli.app import app
from alknet_firewall.codebook.codebook import Codebook, load_codebook, parse_codebook
from alknet_firewall.codebook.seal import opened, packed, repacked
from alknet_firewall.codebook.signature import Trust, new_key, sign_codebook
from alknet_firewall.errors import CodebookError, ConfigError

pytest.importorskip("cryptography")

DAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def keys() -> tuple[bytes, str]:
    return new_key()


@pytest.fixture
def content(make_codebook: Callable[..., Codebook]) -> bytes:
    return make_codebook().to_bytes()


@pytest.fixture
def signed(content: bytes, keys: tuple[bytes, str]) -> bytes:
    return sign_codebook(content, keys[0], 7, DAY)


def refusal(content: bytes, trust: Trust) -> str:
    with pytest.raises(CodebookError, match="somewhere") as caught:
        parse_codebook(content, "somewhere", trust=trust)
    return str(caught.value)


def test_signed_and_trusted(signed: bytes, content: bytes, keys: tuple[bytes, str]) -> None:
    for trust in (Trust((keys[1],)), Trust(("0" * 64, keys[1]), 7, DAY), None):
        assert parse_codebook(signed, "here", trust=trust).to_bytes() == content
    assert sign_codebook(signed, keys[0], 7, DAY) == signed, "signing again replaces the signature"
    assert repacked(signed) == content


def test_not_signed(content: bytes, keys: tuple[bytes, str]) -> None:
    assert "not signed" in refusal(content, Trust((keys[1],)))


def test_signed_by_somebody_else(content: bytes, keys: tuple[bytes, str]) -> None:
    other, _ = new_key()
    assert "the configuration demands" in refusal(sign_codebook(content, other, 7, DAY), Trust((keys[1],)))


def test_rolled_back(signed: bytes, keys: tuple[bytes, str]) -> None:
    assert "serial number 7" in refusal(signed, Trust((keys[1],), min_serial=8))
    assert "2026-01-31" in refusal(signed, Trust((keys[1],), not_before=date(2026, 2, 1)))


def document_of(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    document: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["alknet_firewall"])
    del document["checksum"]
    return document


@pytest.mark.parametrize("field", ["serial", "date", "signer", "content"])
def test_altered_under_a_checksum_of_its_own(signed: bytes, keys: tuple[bytes, str], field: str) -> None:
    """Whoever can alter a file can make a checksum: the signature must not hold over other content."""
    document = document_of(signed)
    signature = document.pop("signature")
    value = bytes.fromhex(signature.pop("value"))
    trusted = keys[1]
    if field == "serial":
        signature["serial"] += 1
    elif field == "date":
        signature["date"] = "2027-01-01"
    elif field == "signer":
        trusted = signature["signer"] = new_key()[1]
    else:
        document["behaviors"]["injection"]["biases"] = [-100.0]
    forged = packed(load(signed), document, signature, lambda checksum: value)
    assert opened(forged).signature["value"] == value.hex()
    assert "forged" in refusal(forged, Trust((trusted,)))


def test_every_digit_of_the_value_counts(signed: bytes, keys: tuple[bytes, str]) -> None:
    place = signed.index(opened(signed).signature["value"].encode())
    for i in range(0, 128, 5):
        other = bytearray(signed)
        other[place + i] = ord("0") if other[place + i] != ord("0") else ord("1")
        assert "forged" in refusal(bytes(other), Trust((keys[1],)))


@pytest.mark.parametrize(
    "signature",
    [
        7, [], {}, {"value": "0" * 128}, {"signer": "x", "serial": 1, "date": "2026-01-01"},
        {"signer": "0" * 64, "serial": True, "date": "2026-01-01"}, {"signer": "0" * 64, "serial": -1, "date": "2026-01-01"},
        {"signer": "0" * 64, "serial": 1, "date": "never"}, {"signer": "0" * 64, "serial": 1, "date": 7},
        {"signer": "0" * 64, "serial": 1, "date": "2026-01-01", "more": 1},
    ],
)  # fmt: skip
def test_a_garbled_signature(content: bytes, signature: Any) -> None:
    if isinstance(signature, dict):
        garbled = packed(load(content), document_of(content), signature, lambda checksum: bytes(64))
    else:
        garbled = packed(load(content), {**document_of(content), "signature": signature})
    refusal(garbled, Trust(("0" * 64,)))


def test_without_the_package(signed: bytes, keys: tuple[bytes, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for refused in (
        lambda: parse_codebook(signed, "here", trust=Trust((keys[1],))),
        lambda: sign_codebook(signed, keys[0], 0, DAY),
        new_key,
    ):
        with pytest.raises(CodebookError, match=r'pip install "alknet-firewall\[sign\]"'):
            refused()
    parse_codebook(signed, "nobody demands a signature")


@pytest.mark.parametrize("key", [b"", b"x" * 100, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_no_key(content: bytes, key: bytes) -> None:
    with pytest.raises(CodebookError, match="no private key"):
        sign_codebook(content, key, 0, DAY)


def test_damaged_codebooks_are_not_signed(content: bytes, keys: tuple[bytes, str]) -> None:
    for damaged in (content[:-1], b"", content[:-1] + bytes([content[-1] ^ 1])):
        with pytest.raises(CodebookError, match="damaged"):
            sign_codebook(damaged, keys[0], 0, DAY)


def firewall_of(settings: Path, **changes: Any) -> Firewall:
    return Firewall(FirewallConfig.from_file(settings, **changes))


def test_the_configuration_demands_a_signer(settings: Path, signed: bytes, keys: tuple[bytes, str]) -> None:
    unsigned = firewall_of(settings, signer=keys[1]).screen("hello")
    assert unsigned.action.value == "block" and "not signed" in str(unsigned.error)
    (settings.parent / "codebook.safetensors").write_bytes(signed)
    with settings.open("a") as file:
        file.write(f'signer = "{keys[1]}"\nmin_serial = 7\nnot_before = 2026-01-31\n')
    assert firewall_of(settings).screen("hello").error is None
    rolled_back = firewall_of(settings, min_serial=8).screen("hello")
    assert rolled_back.action.value == "block" and "serial number 7" in str(rolled_back.error)


def test_the_bundled_one_is_no_exception(keys: tuple[bytes, str]) -> None:
    with pytest.raises(CodebookError, match="not signed"):
        Firewall(FirewallConfig(signer=keys[1])).warm_up()


@pytest.mark.parametrize(
    "changes",
    [{"signer": ""}, {"signer": []}, {"signer": "abc"}, {"signer": ["0" * 64, "x"]}, {"min_serial": 1}, {"not_before": "2026-01-01"}],
)  # fmt: skip
def test_settings_that_demand_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FirewallConfig(**changes)


def test_signers_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALKNET_FIREWALL_SIGNER", f"{'A' * 64}, {'b' * 64}")
    monkeypatch.setenv("ALKNET_FIREWALL_NOT_BEFORE", "2026-01-31")
    config = FirewallConfig()
    assert config.trust == Trust(("a" * 64, "b" * 64), None, DAY)


def test_the_commands(tmp_path: Path, content: bytes) -> None:
    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    key, book, out = tmp_path / "key", tmp_path / "codebook", tmp_path / "signed"
    book.write_bytes(content)
    made = run("keygen", key)
    assert made.exit_code == 0 and stat.S_IMODE(key.stat().st_mode) & 0o077 == 0
    public = (tmp_path / "key.pub").read_text().strip()
    assert public in made.output
    assert run("keygen", key).exit_code == 1, "a key is never written over"
    done = run("sign", book, "--key", key, "-o", out, "--serial", 3, "--date", "2026-01-31")
    assert done.exit_code == 0 and "serial 3, 2026-01-31" in done.output and book.read_bytes() == content
    for signer in (public, tmp_path / "key.pub"):
        verified = run("verify", out, "--signer", signer, "--min-serial", 3, "--not-before", "2026-01-31")
        assert verified.exit_code == 0 and "serial 3, 2026-01-31" in verified.output
    assert run("verify", book, "--signer", public).exit_code == 1
    assert run("verify", out, "--signer", public, "--min-serial", 4).exit_code == 1
    assert run("verify", out, "--signer", "0" * 64).exit_code == 1
    assert run("verify", out, "--signer", "nonsense").exit_code == 2
    assert run("verify", out, "--signer", book).exit_code == 2
    assert run("sign", book, "--key", tmp_path / "none").exit_code == 1
    assert run("sign", book, "--key", key).exit_code == 0
    load_codebook(book, trust=Trust((public,)))


def test_keygen_leaves_no_half_of_a_pair(tmp_path: Path) -> None:
    key, public = tmp_path / "key", tmp_path / "key.pub"
    public.write_text("of another key")
    assert CliRunner().invoke(app, ["keygen", str(key)]).exit_code == 1
    assert not key.exists() and public.read_text() == "of another key"


@pytest.mark.parametrize("serial", [-1, 1 << 53, 1.0, True, "1", None])
def test_what_is_no_serial_number(content: bytes, keys: tuple[bytes, str], serial: Any) -> None:
    with pytest.raises(CodebookError, match="expected a whole number from 0"):
        sign_codebook(content, keys[0], serial, DAY)
