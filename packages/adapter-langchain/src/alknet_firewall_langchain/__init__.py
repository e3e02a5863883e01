"""A runnable for LangChain that screens what goes through it with alknet-firewall.

from alknet_firewall_langchain import firewall_guard
chain = firewall_guard() | model | firewall_guard()
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall_langchain.guard import FirewallGuard, FlaggedError, firewall_guard

__all__ = ["FirewallGuard", "FlaggedError", "firewall_guard"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from alknet_firewall_langchain import guard  # late: the plugin is found without LangChain

    return getattr(guard, name)
