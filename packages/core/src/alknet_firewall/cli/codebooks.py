"""Codebooks as the commands name them: a file, or the one that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alknet_firewall.codebook.codebook import Codebook
    from alknet_firewall.config import FirewallConfig

def open_codebook(path: Path | None) -> Codebook:
    """The codebook in a file, or the bundled one for None.

    Raises:
        CodebookError: It is missing or damaged.
    """
    from alknet_firewall.codebook.codebook import bundled_codebook, load_codebook
    from alknet_firewall.plugins import load_plugins

    readouts = load_plugins().readouts
    return bundled_codebook(readouts) if path is None else load_codebook(path, readouts)


def settings(config: Path | None = None, codebook: Path | None = None) -> FirewallConfig:
    """Settings of a named file, or of those in the working directory; a codebook given here wins.

    Raises:
        ConfigError: A file cannot be read, or has an unknown key or a bad value.
    """
    from alknet_firewall.config import FirewallConfig

    chosen = {} if codebook is None else {"codebook": codebook}
    return FirewallConfig.discover(**chosen) if config is None else FirewallConfig.from_file(config, **chosen)
