"""All targets by name. A module with targets has `FACTORIES`: by name, what builds the target and its weight."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import cast

from tests.fuzz.target import Factory, Target

_MODULES = ("binaries", "documents", "texts")
_SHAMS = "shams"  # targets that go wrong on purpose, for the tests of the harness
_OF_SHAMS = "sham_"

Listed = Mapping[str, tuple[Factory, float]]


def factories() -> dict[str, tuple[Factory, float]]:
    """By name: what builds a target, and its share of the inputs relative to others."""
    return {name: one for module in _MODULES for name, one in _listed(module).items()}


def chosen(names: list[str]) -> dict[str, tuple[Factory, float]]:
    """Some of them, in this order.

    Raises:
        ValueError: One is unknown.
    """
    known = dict(_listed(_SHAMS)) if all(name.startswith(_OF_SHAMS) for name in names) else factories()
    for name in names:
        if name not in known:
            raise ValueError(f"target {name!r} is unknown; there are {', '.join(known)}")
    return {name: known[name] for name in names}


def target_of(name: str) -> Target:
    """Builds a target; of the modules only those are imported that have to be.

    Raises:
        KeyError: It is unknown.
    """
    for module in (_SHAMS,) if name.startswith(_OF_SHAMS) else _MODULES:
        listed = _listed(module)
        if name in listed:
            return listed[name][0]()
    raise KeyError(name)


def _listed(name: str) -> Listed:
    module = f"tests.fuzz.{name}"
    if importlib.util.find_spec(module) is None:
        return {}
    return cast(Listed, importlib.import_module(module).FACTORIES)
