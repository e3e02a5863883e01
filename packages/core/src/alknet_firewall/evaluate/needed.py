"""Imports what a peer needs, or says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from alknet_firewall.errors import AlknetFirewallError


def needed(module: str, peer: str, remedy: str) -> ModuleType:
    """Imports what a peer needs.

    Raises:
        AlknetFirewallError: It is not installed, or cannot be imported; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AlknetFirewallError(
            f"the peer {peer} cannot be loaded ({error}); it needs: {remedy}"
        ) from error
