"""The hooks: everything that a plugin can add. A plugin implements any of them, marked with `hookimpl`.

It is found by an entry point in the group `alknet_firewall`; the names of what it adds must be new.
"""

# A hook has no body: the docstring is the specification.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from alknet_firewall.behavior import Behavior
    from alknet_firewall.codebook.readout import Readout
    from alknet_firewall.detector.protocol import Backend
    from alknet_firewall.hosts import Host

PROJECT = "alknet_firewall"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def alknet_firewall_backends() -> Iterable[Backend]:
    """Ways to run the detector."""


@hookspec
def alknet_firewall_behaviors() -> Iterable[Behavior]:
    """What is recognised besides the behaviors of the codebook."""


@hookspec
def alknet_firewall_readouts() -> Iterable[Readout]:
    """Ways to turn the hidden states of a window into one vector a tap."""


@hookspec
def alknet_firewall_hosts() -> Iterable[Host]:
    """Host frameworks with an adapter, as `alknet-firewall doctor` describes them."""
