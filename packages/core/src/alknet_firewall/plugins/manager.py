"""Finds and loads plugins one by one, so that a broken one never takes the others down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pluggy

from alknet_firewall.errors import PluginError
from alknet_firewall.plugins import hookspecs

if TYPE_CHECKING:
    from alknet_firewall.behavior import Behavior
    from alknet_firewall.codebook.readout import Readout
    from alknet_firewall.detector.protocol import Backend
    from alknet_firewall.hosts import Host

_LOG = logging.getLogger(__name__)

BUILTIN = EntryPoint("builtin", "alknet_firewall.plugins.builtin", hookspecs.PROJECT)
"""Our own entry point; named here as well, so that a source tree without metadata has its backends."""

_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "backends": {
        "name": str,
        "rank": int,
        "precisions": (tuple, list),
        "families": (tuple, list, type(None)),
        "unavailable": Callable,
        "load": Callable,
    },
    "behaviors": {
        "name": str,
        "default_action": str,
        "assess": Callable,
        "false_alarm_rate": Callable,
        "log_false_alarm_rate": Callable,
    },
    "readouts": {"name": str, "shares": Callable},
    "hosts": {"name": str},
}
"""What can be added, and the types of its attributes: a wrong one would fail later, far from its plugin."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the loaded plugins add, by name.

    Attributes:
        backends: Ways to run the detector.
        behaviors: Behaviors besides those of the codebook.
        readouts: Ways to make one vector of a window's hidden states.
        hosts: Descriptions of host adapters.
        broken: What is wrong with the plugins that could not be loaded, by the name of their entry point.
    """

    backends: dict[str, Backend] = field(default_factory=dict)
    behaviors: dict[str, Behavior] = field(default_factory=dict)
    readouts: dict[str, Readout] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def load_plugins(allowed: Sequence[str] | None = None) -> Plugins:
    """Loads the installed plugins; the built-in one first, the others by name.

    A plugin is taken whole or not at all: one that fails to import, to register or to answer, or that adds
    a name which is taken, is left out, reported in `Plugins.broken` and logged as a warning. One that was asked for
    by name is not left out in silence: nothing would be screened for what it recognises.

    Args:
        allowed: Names of the entry points to load besides the built-in one, which always is; None: all.

    Raises:
        PluginError: `allowed` names an entry point that is not installed, or that is left out.
    """
    plugins = Plugins()
    for label, entry in _labelled(_chosen(allowed)).items():
        try:
            added = _ask(entry)
            _refuse_taken_names(plugins, added)
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises
            plugins.broken[label] = f"{type(error).__name__}: {error}"
            _LOG.warning("plugin %s (%s) is left out: %s", label, entry.value, plugins.broken[label])
            continue
        for kind, things in added.items():
            getattr(plugins, kind).update(things)
    if allowed is not None and plugins.broken:
        told = "; ".join(f"{name}: {why}" for name, why in plugins.broken.items())
        raise PluginError(f"asked for by `plugins`, but cannot be loaded: {told}. Mend it, or take it off the list")
    return plugins


def _chosen(allowed: Sequence[str] | None) -> list[EntryPoint]:
    """The built-in entry point, then those that are installed and allowed, by name."""
    # A package that is found twice on the path (installed, and as a source tree) gives equal entry points.
    found = dict.fromkeys(entry_points(group=hookspecs.PROJECT))
    found.pop(BUILTIN, None)
    others = sorted(found, key=lambda entry: (entry.name, entry.value))
    if allowed is None:
        return [BUILTIN, *others]
    installed = {BUILTIN.name, *(entry.name for entry in others)}
    missing = [name for name in allowed if name not in installed]
    if missing:
        there = ", ".join(sorted(installed))
        raise PluginError(f"no plugin {', '.join(map(repr, missing))} is installed; installed: {there}")
    return [BUILTIN, *(entry for entry in others if entry.name in allowed)]


def _labelled(entries: Iterable[EntryPoint]) -> dict[str, EntryPoint]:
    """By the name that reports use: the entry point's, with its value where the name is taken already."""
    labelled: dict[str, EntryPoint] = {}
    for entry in entries:
        labelled[f"{entry.name} ({entry.value})" if entry.name in labelled else entry.name] = entry
    return labelled


def _ask(entry: EntryPoint) -> dict[str, dict[str, Any]]:
    """Imports a plugin and calls its hooks: by kind, what it adds by name.

    Raises:
        PluginError: It implements no hook, or a hook returned something else than it should.
        Exception: Whatever the plugin raises.
    """
    # A manager of its own for each plugin: registering and calling stay apart from the others.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugin = entry.load()
    manager.register(plugin)
    manager.check_pending()  # a hook that does not exist is most likely a misspelt one
    if not manager.get_hookcallers(plugin):
        raise PluginError("it implements no hook (mark the functions with alknet_firewall.plugins.hookimpl)")
    return {kind: _call(manager, kind) for kind in _ATTRIBUTES}


def _call(manager: pluggy.PluginManager, kind: str) -> dict[str, Any]:
    hook = f"{hookspecs.PROJECT}_{kind}"
    things: dict[str, Any] = {}
    for answer in getattr(manager.hook, hook)():
        if not isinstance(answer, Iterable):
            raise PluginError(f"{hook} should return a list, not {answer!r:.100}")
        for thing in answer:
            _check(hook, thing, _ATTRIBUTES[kind])
            if thing.name in things:
                raise PluginError(f"{hook} returned {thing.name!r} twice")
            things[thing.name] = thing
    return things


def _check(hook: str, thing: Any, attributes: dict[str, Any]) -> None:
    if isinstance(thing, type):
        raise PluginError(f"{hook} should return instances, not the class {thing.__name__}")
    for name, kind in attributes.items():
        if not hasattr(thing, name):
            raise PluginError(f"{hook} returned a {type(thing).__name__} without {name!r}")
        value = getattr(thing, name)
        if not isinstance(value, kind) or value == "":
            raise PluginError(f"{hook} returned a {type(thing).__name__} whose {name} is {value!r:.100}")


def _refuse_taken_names(plugins: Plugins, added: dict[str, dict[str, Any]]) -> None:
    for kind, things in added.items():
        taken = sorted(getattr(plugins, kind).keys() & things.keys())
        if taken:
            raise PluginError(f"{kind} of another plugin have the name {', '.join(map(repr, taken))} already")
