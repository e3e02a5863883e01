"""Who may ask: API keys, kept as hashes and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from alknet_firewall.errors import ConfigError

_SHORTEST = 16  # characters: what is shorter can be guessed


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that open the server.

    Attributes:
        digests: Their SHA-256; the keys themselves are not kept.
    """

    digests: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    @classmethod
    def read(cls, content: str, origin: str) -> ApiKeys:
        """Keys from text, one a line; empty lines and those that begin with `#` are left out.

        Raises:
            ConfigError: There is none, or one is short or has a space in it; the message names its line, not the key.
        """
        digests = []
        for number, line in enumerate(content.splitlines(), 1):
            key = line.strip()
            if not key or key.startswith("#"):
                continue
            if len(key) < _SHORTEST or not key.isascii() or any(char.isspace() for char in key):
                raise ConfigError(
                    f"{origin}, line {number}: a key should be at least {_SHORTEST} ASCII characters without a space; "
                    "make one with: openssl rand -hex 24"
                )
            digests.append(_digest(key.encode()))
        if not digests:
            raise ConfigError(f"{origin}: there is no key in it; write one a line")
        return cls(tuple(digests))

    @classmethod
    def from_file(cls, path: Path) -> ApiKeys:
        """Keys from a file, see `read`.

        Raises:
            ConfigError: The file cannot be read, or as `read`.
        """
        try:
            content = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: the keys cannot be read ({type(error).__name__})") from None
        return cls.read(content, str(path))

    def allow(self, given: bytes | None) -> bool:
        """Whether a key opens; the time it takes tells nothing of how near it was. Without keys everything opens."""
        if not self.digests:
            return True
        digest, found = _digest(given or b""), False
        for own in self.digests:
            found |= hmac.compare_digest(own, digest)
        return found and given is not None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
