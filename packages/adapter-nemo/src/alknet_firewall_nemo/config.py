"""NeMo Guardrails runs this file when a configuration imports the package, before the first message."""

from nemoguardrails import LLMRails

from alknet_firewall_nemo.rails import wire


def init(app: LLMRails) -> None:
    """Loads the engine and registers the actions of the flows."""
    wire(app)
