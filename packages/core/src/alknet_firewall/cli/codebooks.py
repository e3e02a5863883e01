"""Codebooks as the commands name them: a file, or the one that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from alknet_firewall.errors import CodebookError

if TYPE_CHECKING:
    from alknet_firewall.codebook.codebook import Codebook
    from alknet_firewall.config import FirewallConfig

BUNDLED = "the bundled codebook"


def bundled_codebook() -> Codebook:
    """The codebook that comes with the package.

    Raises:
        CodebookError: It is missing or damaged.
    """
    from alknet_firewall.codebook.codebook import parse_codebook
    from alknet_firewall.plugins import load_plugins

    try:
        content = files("alknet_firewall").joinpath("data", "codebook.safetensors").read_bytes()
    except OSError as error:
        raise CodebookError(f"{BUNDLED} is missing from this installation ({error.strerror})") from error
    return parse_codebook(content, BUNDLED, load_plugins().readouts)


def open_codebook(path: Path | None) -> Codebook:
    """The codebook in a file, or the bundled one for None.

    Raises:
        CodebookError: It is missing or damaged.
    """
    from alknet_firewall.codebook.codebook import load_codebook
    from alknet_firewall.plugins import load_plugins

    return bundled_codebook() if path is None else load_codebook(path, load_plugins().readouts)


def settings(config: Path | None = None, codebook: Path | None = None) -> FirewallConfig:
    """Settings of a named file, or of those in the working directory; a codebook given here wins.

    Raises:
        ConfigError: A file cannot be read, or has an unknown key or a bad value.
    """
    from alknet_firewall.config import FirewallConfig

    chosen = {} if codebook is None else {"codebook": codebook}
    return FirewallConfig.discover(**chosen) if config is None else FirewallConfig.from_file(config, **chosen)
