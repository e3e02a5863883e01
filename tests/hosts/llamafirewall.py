"""LlamaFirewall in the contract suite: an application that gives the model what the scan allows."""

from __future__ import annotations

from alknet_firewall import Action, FirewallConfig, content_text
from tests.hosts.contract import Outcome, Slot

_ACTIONS = {"allow": Action.ALLOW, "human_in_the_loop_required": Action.REVIEW, "block": Action.BLOCK}


class Llama:
    name = "llamafirewall"
    requires = ("llamafirewall", "alknet_firewall_llamafirewall")
    slots = (
        Slot("user", "user"),
        Slot("tool", "tool"),
        Slot("memory", "document"),
        Slot("assistant", "response"),
        Slot("assistant tool call", "response", parts=False),
    )
    review = Action.REVIEW

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        from llamafirewall import AssistantMessage, LlamaFirewall, Message, Role

        from alknet_firewall_llamafirewall import scanner

        host = LlamaFirewall({role: [scanner(config, name=f"contract {config!r}")] for role in Role})
        if slot == "assistant tool call":
            call = {"type": "function", "function": {"name": "", "arguments": {"": content}}}
            message: Message = AssistantMessage("", tool_calls=[call])
        else:
            message = Message(Role(slot), content)
        result = await host.scan_async(message)
        action = _ACTIONS[result.decision.value]
        seen = content_text(content) if action is Action.ALLOW else ""
        return Outcome(action, seen, repr(result))


HOST = Llama()
