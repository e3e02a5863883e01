"""How `alknet-firewall doctor` finds and tries this adapter."""

from __future__ import annotations

import os
from importlib.resources import files

from alknet_firewall import Firewall, Host, hookimpl


@hookimpl
def alknet_firewall_hosts() -> list[Host]:
    """NeMo Guardrails."""
    wiring = "import_paths: [alknet_firewall_nemo] in config.yml, and flows `alknet firewall check ...` under rails"
    return [Host("nemo", "nemoguardrails", wiring, _probe)]


async def _probe(firewall: Firewall, text: str) -> bool:
    os.environ.setdefault("NEMO_GUARDRAILS_NO_USAGE_STATS", "1")  # a check-up should not call home
    from nemoguardrails import LLMRails, RailsConfig

    from alknet_firewall_nemo.rails import wire

    flows = files("alknet_firewall_nemo").joinpath("flows.v1.co").read_text(encoding="utf-8")
    rails = {"input": {"flows": ["alknet firewall check input"]}}
    app = LLMRails(RailsConfig.from_content(flows, config={"models": [], "rails": rails}))
    wire(app, firewall)
    result = await app.check_async([{"role": "user", "content": text}])
    return bool(result.status == "blocked")
