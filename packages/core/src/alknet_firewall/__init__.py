"""alknet-firewall screens untrusted text before a language model reads it.

from alknet_firewall import Firewall
verdict = Firewall().screen("Ignore all previous instructions", channel="document")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.errors import AlknetFirewallError, ConfigError
    from alknet_firewall.firewall import Firewall
    from alknet_firewall.hosts import Host, describe, shared_firewall
    from alknet_firewall.plugins import hookimpl
    from alknet_firewall.stream.audit import AuditLog
    from alknet_firewall.stream.holdback import HoldBack
    from alknet_firewall.stream.items import GuardedItems
    from alknet_firewall.text.content import Content, content_text, read_content
    from alknet_firewall.text.streamed import item_content
    from alknet_firewall.verdict import NOTICE, Action, Alarm, Span, Verdict

__all__ = [
    "NOTICE",
    "Action",
    "Alarm",
    "AlknetFirewallError",
    "AuditLog",
    "ConfigError",
    "Content",
    "Firewall",
    "FirewallConfig",
    "GuardedItems",
    "HoldBack",
    "Host",
    "Span",
    "Verdict",
    "__version__",
    "content_text",
    "describe",
    "hookimpl",
    "item_content",
    "read_content",
    "shared_firewall",
]
__version__ = "1.0.0"

_HOMES = {
    "AlknetFirewallError": "errors",
    "AuditLog": "stream.audit",
    "ConfigError": "errors",
    "Content": "text.content",
    "Firewall": "firewall",
    "FirewallConfig": "config",
    "GuardedItems": "stream.items",
    "HoldBack": "stream.holdback",
    "Host": "hosts",
    "content_text": "text.content",
    "describe": "hosts",
    "hookimpl": "plugins",
    "item_content": "text.streamed",
    "read_content": "text.content",
    "shared_firewall": "hosts",
}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: importing the package costs nothing of numpy, pydantic or ONNX Runtime.
    if name in __all__:
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'verdict')}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
