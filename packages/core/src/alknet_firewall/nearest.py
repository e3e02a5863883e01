"""What came nearest to an alarm: the same engine, asked with thresholds that everything reaches."""

from __future__ import annotations

from dataclasses import replace

from alknet_firewall.engine import Engine
from alknet_firewall.verdict import Alarm, Verdict


def at_thresholds(engine: Engine, block: float, review: float) -> Engine:
    """The engine with other thresholds for all behaviors; what each of them may do stays as it was set.

    Args:
        engine: A loaded one, which is left as it is.
        block: False-alarm rate from which a text is blocked.
        review: The same for review, not under `block`.
    """
    config = engine.config
    own = {
        name: one.model_copy(update={"block": None, "review": None}) for name, one in config.behaviors.items()
    }
    changed = {"block_false_alarm_rate": block, "review_false_alarm_rate": review, "behaviors": own}
    return replace(engine, config=config.model_copy(update=changed))


def nearest_alarms(engine: Engine, text: str, verdict: Verdict) -> tuple[Alarm, ...]:
    """The alarms that thresholds at 100 % would raise, worst first; reads the text once more.

    Args:
        engine: A loaded one.
        text: As it was screened.
        verdict: On it.

    Returns:
        None for a text that raised an alarm, or that could not be screened.
    """
    if verdict.alarms or verdict.error is not None:
        return ()
    return at_thresholds(engine, 1.0, 1.0).judge([text], [verdict.channel])[0].alarms
