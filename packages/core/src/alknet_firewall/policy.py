"""Which thresholds hold for which behavior: the settings, resolved and checked against a codebook once, at start."""

from __future__ import annotations

from collections.abc import Mapping

from alknet_firewall.behavior import Behavior
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.compose import Thresholds
from alknet_firewall.config import BehaviorSettings, FirewallConfig
from alknet_firewall.errors import ConfigError
from alknet_firewall.verdict import Action

_LIMITS = {"block": Action.BLOCK, "review": Action.REVIEW, "inform": Action.ALLOW}
_NOTHING = BehaviorSettings(block=None, review=None)


def group_of(config: FirewallConfig, codebook: Codebook) -> tuple[str, ...]:
    """The behaviors that decide together: the codebook's group, whole and without settings of their own, or none.

    The table of the group is that of all its behaviors: for a part of them it would tell rates that are too high.
    """
    own = any(config.behaviors.get(name, _NOTHING) != _NOTHING for name in codebook.group)
    return () if own else codebook.group


def thresholds_of(config: FirewallConfig, name: str | None = None) -> Thresholds:
    """The thresholds of a behavior, or without a name those of the group."""
    own = config.behaviors.get(name, _NOTHING) if name else _NOTHING
    block = own.block or config.block_false_alarm_rate
    return Thresholds(block, own.review or max(block, config.review_false_alarm_rate))


def action_of(config: FirewallConfig, name: str, behavior: Behavior) -> str:
    """What an alarm of a behavior may do: `block`, `review`, `inform` or `off`."""
    return config.behaviors.get(name, _NOTHING).action or behavior.default_action


def limit_of(config: FirewallConfig, name: str, behavior: Behavior) -> Action:
    """The strictest action of an alarm of a behavior that is not off."""
    return _LIMITS[action_of(config, name, behavior)]


def check_settings(config: FirewallConfig, codebook: Codebook, behaviors: Mapping[str, Behavior]) -> None:
    """Refuses settings that a codebook cannot honour.

    Raises:
        ConfigError: A behavior is unknown; a review threshold lies under its block threshold; or a threshold lies
            under the least rate that the calibration can tell, and so would never be reached.
    """
    for name in config.behaviors:
        if name not in behaviors:
            raise ConfigError(f"behaviors.{name}: no such behavior; there are {', '.join(sorted(behaviors))}")
        thresholds = thresholds_of(config, name)
        if thresholds.review < thresholds.block:
            raise ConfigError(
                f"behaviors.{name}: review at {thresholds.review:g} lies under block at {thresholds.block:g}; "
                f"set behaviors.{name}.block as well"
            )
    group = group_of(config, codebook)
    if group:
        _check_rate("block_false_alarm_rate", thresholds_of(config).block, codebook.combined)
    for name, behavior in codebook.behaviors.items():
        if name not in group and action_of(config, name, behavior) not in ("off", "inform"):
            _check_rate(f"behaviors.{name}: block", thresholds_of(config, name).block, behavior.tables)


def _check_rate(what: str, rate: float, tables: Mapping[str, RateTable]) -> None:
    channel, table = min(tables.items(), key=lambda item: item[1].count)
    if rate < table.least_rate:
        raise ConfigError(
            f"{what} = {rate:g}: with some {table.count:.0f} benign texts of channel {channel!r} behind it, the "
            f"codebook knows no rate under {table.least_rate:.2g}, and nothing would ever be blocked. Set it higher, "
            "or calibrate on more texts"
        )
