"""The strongest evidence in a text, whether it is over a threshold or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alknet_firewall.firewall import Firewall
from alknet_firewall.verdict import Verdict

_EVERYTHING = {"review_false_alarm_rate": 1.0, "block_false_alarm_rate": 1.0, "behaviors": {}}


def nearest(firewall: Firewall, text: str, verdict: Verdict) -> list[dict[str, Any]]:
    """The alarms that thresholds at 100 % would raise, worst first, JSON-ready; reads the text once more.

    Args:
        firewall: A loaded one.
        text: As it was screened.
        verdict: On it.
    """
    if verdict.alarms:
        return []
    engine = firewall.engine
    open_to_all = replace(engine, config=engine.config.model_copy(update=_EVERYTHING))
    found = open_to_all.judge([text], [verdict.channel])[0].to_dict()["alarms"]
    return [{**alarm, "action": "allow"} for alarm in found]
