"""What a host adapter tells of itself, for `alknet-firewall doctor`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from alknet_firewall.firewall import Firewall


@dataclass(frozen=True, slots=True)
class Host:
    """A framework that an adapter wires the firewall into; plugins return these from `alknet_firewall_hosts`.

    Attributes:
        name: The adapter's short name, e.g. `nemo`.
        package: The framework's distribution on PyPI, whose version `doctor` shows.
        wiring: One sentence: how the adapter is switched on.
        probe: Screens a text through the host's own machinery with the given firewall, and says whether it was
            stopped. Imports the host; called only by `doctor`.
    """

    name: str
    package: str
    wiring: str
    probe: Callable[[Firewall, str], Awaitable[bool]]
