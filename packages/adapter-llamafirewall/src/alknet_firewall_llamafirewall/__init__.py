"""alknet-firewall as a scanner of LlamaFirewall.

from llamafirewall import LlamaFirewall, Role
from alknet_firewall_llamafirewall import scanner

firewall = LlamaFirewall({Role.USER: [scanner()], Role.TOOL: [scanner()]})
"""

from alknet_firewall_llamafirewall.scanner import scanner

__all__ = ["scanner"]
