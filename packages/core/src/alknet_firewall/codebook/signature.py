"""Signed codebooks: Ed25519 (RFC 8032) over the checksum, with a serial number and a date against roll-back.

Serial number, date and signer stand in the document that the checksum covers, so the signature covers them, too. The
mathematics is that of the package `cryptography` (extra `sign`); without it nothing that demands a signature loads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from alknet_firewall.codebook.seal import SIGNED, Seal, opened, repacked
from alknet_firewall.errors import CodebookError
from alknet_firewall.files import told

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
"""How a public key is written: 32 bytes as hex digits."""
_PREFIX = b"alknet-firewall codebook 1\n"  # so that it cannot be taken for something else
_LARGEST_SERIAL = (1 << 53) - 1  # JSON numbers are exact up to here


@dataclass(frozen=True, slots=True)
class Signature:
    """What is said of a signature.

    Attributes:
        signer: Public key, 64 hex digits.
        serial: Of the codebook; a later one has a larger one.
        date: When it was signed.
        value: 128 hex digits.
    """

    signer: str
    serial: int
    date: date
    value: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose codebooks are used.

    Attributes:
        signers: Public keys, 64 hex digits each; one of them must have signed.
        min_serial: The lowest serial number that is accepted; None: any.
        not_before: The earliest date of signing that is accepted; None: any.
    """

    signers: tuple[str, ...]
    min_serial: int | None = None
    not_before: date | None = None


def check_signature(seal: Seal, trust: Trust, where: str) -> Signature:
    """Checks who signed, and that it is no older codebook than is wanted.

    Raises:
        CodebookError: It is not signed, by somebody else, falsely, or it is an older one; or `cryptography` is missing.
    """
    if seal.signature is None:
        raise CodebookError(
            f"{where}: is not signed, and the configuration demands a signer; sign it (alknet-firewall sign), "
            "or get a signed one"
        )
    signature = _parsed(seal.signature, where)
    if signature.signer not in trust.signers:
        wanted = ", ".join(signer[:12] for signer in trust.signers)
        raise CodebookError(f"{where}: is signed by {signature.signer[:12]}; the configuration demands {wanted}")
    from_invalid = _invalid_signature()
    try:
        key = _public_key(signature.signer)
        key.verify(bytes.fromhex(signature.value), _PREFIX + seal.checksum)
    except (from_invalid, ValueError) as error:
        raise CodebookError(f"{where}: its signature is forged or of another codebook; do not use it") from error
    if trust.min_serial is not None and signature.serial < trust.min_serial:
        raise CodebookError(
            f"{where}: has serial number {signature.serial}, the configuration demands {trust.min_serial} or later"
        )
    if trust.not_before is not None and signature.date < trust.not_before:
        raise CodebookError(
            f"{where}: was signed on {signature.date}, the configuration demands {trust.not_before} or later"
        )
    return signature


def sign_codebook(content: bytes, private_key: bytes, serial: int, on: date, where: str = "the codebook") -> bytes:
    """Signs a codebook; a signature that it has is replaced.

    Args:
        content: Of the codebook's file.
        private_key: PEM, as `new_key` gives it.
        serial: Of the codebook, from 0.
        on: The date that is signed with it.
        where: Names the codebook in errors.

    Raises:
        CodebookError: It is damaged, the key is none, the serial number is out of range, or `cryptography` is missing.
    """
    if type(serial) is not int or not 0 <= serial <= _LARGEST_SERIAL:
        raise CodebookError(f"serial number {serial!r}: expected a whole number from 0 to {_LARGEST_SERIAL}")
    key = _private_key(private_key)
    said = {"signer": _hex(key.public_key()), "serial": serial, "date": on.isoformat()}
    try:
        opened(content)  # what is damaged is not signed
        return repacked(content, said, lambda checksum: key.sign(_PREFIX + checksum))
    except (SafetensorError, ValueError) as error:
        raise CodebookError(f"{where}: damaged or not a codebook ({told(error)})") from error


def new_key() -> tuple[bytes, str]:
    """A new key: the private one as PEM (PKCS #8, not encrypted), the public one as 64 hex digits.

    Raises:
        CodebookError: `cryptography` is missing.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, _hex(key.public_key())


def _parsed(said: Any, where: str) -> Signature:
    try:
        signer, serial, on, value = (said[key] for key in ("signer", "serial", "date", SIGNED))
        sound = PUBLIC_KEY.fullmatch(signer) and type(serial) is int and 0 <= serial <= _LARGEST_SERIAL
        if sound and len(said) == 4:  # the value was looked at with the checksum
            return Signature(signer, serial, date.fromisoformat(on), value)
    except (TypeError, LookupError, ValueError):
        pass
    raise CodebookError(f"{where}: what it says of its signature is garbled; do not use it")


def _private_key(pem: bytes) -> Ed25519PrivateKey:
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # nothing of a private key belongs into a message
        raise CodebookError("the key is no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CodebookError("the key is no Ed25519 key; alknet-firewall keygen makes one")
    return key


def _public_key(digits: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits))


def _hex(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def _invalid_signature() -> type[Exception]:
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature


def _need_cryptography() -> None:
    try:
        import cryptography.exceptions  # noqa: F401
    except ImportError as error:
        raise CodebookError(
            'signatures need the package `cryptography`: pip install "alknet-firewall[sign]"'
        ) from error
