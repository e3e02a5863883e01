"""What is answered where screening failed: a verdict by the policy `on_error`, never an exception's text."""

from __future__ import annotations

import logging

from alknet_firewall.config import FirewallConfig
from alknet_firewall.errors import AlknetFirewallError
from alknet_firewall.verdict import Action, Verdict

_log = logging.getLogger(__name__)


def verdict_on_fault(config: FirewallConfig, error: Exception, channel: str) -> Verdict:
    """The verdict on a text that could not be screened; under the policy `raise`, the error is raised."""
    policy = config.on_error
    if policy == "raise":
        raise error
    # Only the kind and the package's own messages are logged: an exception's text may quote the input.
    _log.error("screening failed (%s); the policy on_error says %s", type(error).__name__, policy)
    score = 0.0 if policy == "allow" else 1.0
    told = (
        f": {error}" if isinstance(error, AlknetFirewallError) else ""
    )  # another's message may quote the text
    return Verdict(Action(policy), score, 1.0 - score, channel=channel, error=f"{type(error).__name__}{told}")
