"""A plugin that cannot be imported while it is told to fail, as one whose dependency is missing."""

from __future__ import annotations

from alknet_firewall import hookimpl
from tests.faults.plugin import FaultyBehavior, is_armed

if is_armed("load: plugin raises when imported"):
    raise ImportError("a library that it needs is not installed")


@hookimpl
def alknet_firewall_behaviors() -> list[FaultyBehavior]:
    return [FaultyBehavior("fault_import")]
