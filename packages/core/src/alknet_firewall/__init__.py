"""alknet-firewall screens untrusted text before a language model reads it.

    from alknet_firewall import Firewall
    verdict = Firewall().screen("Ignore all previous instructions", channel="document")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.firewall import Firewall
    from alknet_firewall.verdict import Action, Alarm, Span, Verdict

__all__ = ["Action", "Alarm", "Firewall", "FirewallConfig", "Span", "Verdict", "__version__"]
__version__ = "0.1.0"

_HOMES = {"Firewall": "firewall", "FirewallConfig": "config"}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: importing the package costs nothing of numpy, pydantic or ONNX Runtime.
    if name in __all__:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'verdict')}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
