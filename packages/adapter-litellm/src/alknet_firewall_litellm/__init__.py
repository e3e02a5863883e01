"""A guardrail for LiteLLM, its proxy and its SDK, that screens text with alknet-firewall.

from alknet_firewall_litellm import FirewallGuardrail
litellm.callbacks = [FirewallGuardrail(default_on=True)]
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alknet_firewall_litellm.guardrail import FirewallGuardrail

__all__ = ["FirewallGuardrail"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from alknet_firewall_litellm import guardrail  # late: the plugin is found without LiteLLM

    return getattr(guardrail, name)
