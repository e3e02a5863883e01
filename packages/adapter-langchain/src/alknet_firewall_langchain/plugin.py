"""How `alknet-firewall doctor` finds and tries this adapter."""

from __future__ import annotations

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """LangChain."""
    return [Host("langchain", "langchain-core", "firewall_guard() | model | firewall_guard()", _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    from alknet_firewall_langchain import FlaggedError, firewall_guard

    try:
        await firewall_guard(config=firewall).ainvoke(text)
    except FlaggedError:
        return True
    return False
