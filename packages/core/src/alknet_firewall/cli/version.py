"""`alknet-firewall --version`: what decides here, by fingerprint, as a bug report needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from alknet_firewall import __version__
from alknet_firewall.errors import AlknetFirewallError, ConfigError

_SHOWN = 12  # hexadecimal digits of a fingerprint


def version_lines() -> Iterator[str]:
    """The version, the codebook in use and the detector at hand. What cannot be told is said, never raised."""
    yield f"alknet-firewall {__version__}"
    try:
        yield from _codebook_lines()
    except AlknetFirewallError as error:
        yield f"{'settings' if isinstance(error, ConfigError) else 'codebook'}: {error}"


def _codebook_lines() -> Iterator[str]:
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.codebook.codebook import codebook_bytes, parse_codebook
    from alknet_firewall.plugins import load_plugins

    config = settings()
    name = "bundled" if config.codebook is None else str(config.codebook)
    content = codebook_bytes(config.codebook)
    codebook = parse_codebook(content, name, load_plugins(config.plugins).readouts)
    yield f"codebook {name}, {hashlib.sha256(content).hexdigest()[:_SHOWN]}"
    yield f"made for detector {codebook.fingerprint[:_SHOWN]}, {codebook.detector}"
    yield _detector_line(config.weights, codebook.taps, codebook.fingerprint)


def _detector_line(where: str | None, taps: tuple[int, ...], wanted: str) -> str:
    """The detector that these weights make with these taps."""
    if where is not None and where.startswith("hub:"):
        return f"weights {where}, not looked at here"  # asking for them might use the network
    from alknet_firewall.detector.detector import fingerprint
    from alknet_firewall.detector.tokenizer import load_tokenizer
    from alknet_firewall.detector.weights import open_weights

    try:
        weights = open_weights(where)
        found = fingerprint(weights, load_tokenizer(weights), taps)
    except AlknetFirewallError as error:
        return f"weights: {error}"
    return f"weights here make detector {found[:_SHOWN]}" + (
        ", the same" if found == wanted else ", ANOTHER ONE"
    )
