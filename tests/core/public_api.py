"""The public surface of the package as plain data: names, signatures, JSON keys, settings, commands, exit statuses.

    python -m tests.core.public_api

writes it to tests/core/api.json. What changes there changes for users: see docs/reference/index.md.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alknet_firewall
from alknet_firewall import Action, Alarm, Span, Verdict, errors
from alknet_firewall.behavior import Behavior, Evidence, Passage
from alknet_firewall.config import BehaviorSettings, FirewallConfig
from alknet_firewall.plugins import hookspecs
from alknet_firewall.stream.conversation import Conversation
from alknet_firewall.stream.events import VerdictEvent
from alknet_firewall.stream.guard import GuardedStream
from alknet_firewall.stream.text_stream import TextStream

SNAPSHOT = Path(__file__).with_name("api.json")
_PLUGIN_NAMES = (Behavior, Passage, Evidence)
_RETURNED = (TextStream, GuardedStream, Conversation)  # made by methods of Firewall, never by users


def surface() -> dict[str, Any]:
    """All of it, in a stable order."""
    names = {name: getattr(alknet_firewall, name) for name in sorted(alknet_firewall.__all__)}
    del names["__version__"]  # that it is there, and which it is, has a test of its own
    return {
        "names": {name: _described(value) for name, value in names.items() if not hasattr(errors, name)},
        "returned by Firewall": {one.__name__: _members(one) for one in _RETURNED},
        "errors": {name: [base.__name__ for base in error.__bases__] for name, error in _errors()},
        "plugins": {one.__name__: _described(one) for one in _PLUGIN_NAMES},
        "hooks": {
            name: _signature(hook)
            for name, hook in vars(hookspecs).items()
            if name.startswith("alknet_firewall_")
        },
        "settings": _fields(FirewallConfig),
        "settings of a behavior": _fields(BehaviorSettings),
        "keys": _keys(),
        "commands": dict(commands()),
    }


def commands() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every command by its words, with its arguments and options."""
    from typer.main import get_command

    from alknet_firewall.cli.app import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
        yield " ".join(words), {_spelling(one): _parameter(one) for one in command.params}
        for name, inner in sorted(getattr(command, "commands", {}).items()):
            yield from walk(inner, (*words, name))

    return walk(get_command(app), ("alknet-firewall",))


def _spelling(parameter: Any) -> str:
    spellings = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(spellings) if parameter.param_type_name == "option" else spellings[0].upper()


def _parameter(parameter: Any) -> str:
    """Whether it is a flag, must be given, may be given often, and its default."""
    default = getattr(parameter.default, "value", parameter.default)
    parts = ["flag" if getattr(parameter, "is_flag", False) else "value"]
    parts += ["required"] if parameter.required else []
    parts += ["repeatable"] if parameter.multiple or parameter.nargs == -1 else []
    plain = isinstance(default, (bool, int, float, str)) and default is not False
    return ", ".join(parts) + (f" = {default!r}" if plain else "")


def _described(value: object) -> Any:
    if isinstance(value, type):
        return _enum(value) if issubclass(value, enum.Enum) else _members(value)
    if inspect.isfunction(value):
        return _signature(value)
    return value if isinstance(value, str) else f"a {type(value).__name__}"


def _enum(kind: type[enum.Enum]) -> dict[str, Any]:
    return {**{member.name: member.value for member in kind}, **_members(kind)}


def _members(kind: type) -> dict[str, str]:
    """Fields, methods and properties, those of base classes of ours among them."""
    found: dict[str, str] = {}
    for owner in (one for one in reversed(kind.__mro__) if one.__module__.startswith("alknet_firewall")):
        for name, member in vars(owner).items():
            if name.startswith("_") or name.startswith("model_") or isinstance(member, enum.Enum):
                continue
            if isinstance(member, property):
                found[name] = f"property -> {inspect.signature(member.fget).return_annotation}"  # type: ignore[arg-type]
            elif isinstance(member, (classmethod, staticmethod)):
                found[name] = f"{type(member).__name__} {_signature(member.__func__)}"
            elif inspect.isfunction(member):
                word = "async " if inspect.iscoroutinefunction(member) else ""
                found[name] = word + _signature(member)
    if kind not in _RETURNED and kind is not Behavior and not issubclass(kind, enum.Enum):
        found["__init__"] = _signature(kind.__init__)  # type: ignore[misc]
    return dict(sorted(found.items()))


def _signature(function: Callable[..., Any]) -> str:
    """`(text: str, channel: str = 'user') -> Verdict`, with annotations as they are written."""
    signature = inspect.signature(function)
    parts, before = [], None
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            parts.append("*")
        parts.append(_argument(parameter))
        before = parameter.kind
    returned = signature.return_annotation
    return f"({', '.join(parts)})" + ("" if returned is signature.empty else f" -> {returned}")


def _argument(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    told = (
        stars
        + parameter.name
        + ("" if parameter.annotation is parameter.empty else f": {parameter.annotation}")
    )
    default = parameter.default
    if default is parameter.empty:
        return told
    return f"{told} = {default.__name__ if inspect.isfunction(default) else repr(default)}"


def _errors() -> Iterator[tuple[str, type[Exception]]]:
    for name, value in sorted(vars(errors).items()):
        if isinstance(value, type) and issubclass(value, Exception):
            yield name, value


def _fields(model: Any) -> dict[str, str]:
    return {name: repr(field.default) for name, field in model.model_fields.items()}


def _keys() -> dict[str, list[str]]:
    alarm = Alarm("injection", Action.BLOCK, 0.9, 0.001, 4.0, {"tap 8": 4.0}, Span(0, 3), None)
    told = Verdict(Action.BLOCK, 0.9, 0.001, (alarm,)).to_dict()
    event = [field.name for field in dataclasses.fields(VerdictEvent)]
    return {"Verdict.to_dict()": list(told), "its alarms": list(told["alarms"][0]), "VerdictEvent": event}


if __name__ == "__main__":
    new = SNAPSHOT.with_suffix(".new")
    new.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
    new.replace(SNAPSHOT)
