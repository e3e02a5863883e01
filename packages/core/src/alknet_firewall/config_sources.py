"""Where settings come from: TOML files, environment, arguments; plain dictionaries, each with its origin."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alknet_firewall.errors import ConfigError
from alknet_firewall.files import printable, read_bounded, told

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "alknet-firewall.toml"
PREFIX = "ALKNET_FIREWALL_"
NOT_SETTINGS = frozenset({"ALKNET_FIREWALL_CACHE"})
"""Variables with our prefix that are read elsewhere."""

_VARIABLE = "environment variable"
_LARGEST = 1 << 20  # bytes of a settings file

Keys = tuple[int | str, ...]
"""Where a setting lies: the names of the tables around it, and its own."""


@dataclass(frozen=True, slots=True)
class Source:
    """Settings of one origin.

    Attributes:
        origin: What an error puts before the key: `/etc/x.toml:`, `environment variable`, `argument`.
        values: The settings by name, nested as in the TOML file.
    """

    origin: str
    values: Mapping[str, Any]

    def name(self, keys: Keys) -> str:
        """How the user wrote the setting `keys`, e.g. `argument max_tokens`."""
        return f"{self.origin} {self.spelling(keys)}"

    def spelling(self, keys: Keys) -> str:
        """The setting `keys` as this source spells it: `behaviors.harmful.action`, or the variable's name."""
        parts = [printable(str(key), 80) for key in keys]
        return PREFIX + "__".join(parts).upper() if self.origin == _VARIABLE else ".".join(parts)

    def holds(self, keys: Keys) -> bool:
        """Whether this source sets `keys`, or a value in which they would lie."""
        value: Any = self.values
        for key in keys:
            if not isinstance(value, Mapping):
                return True
            if key not in value:
                return False
            value = value[key]
        return True


def read_arguments(arguments: Mapping[str, Any]) -> Source:
    """What the caller gave."""
    return Source("argument", arguments)


def read_environment(environment: Mapping[str, str]) -> Source:
    """What `ALKNET_FIREWALL_*` variables say; an empty variable counts as not set, but for `..._PLUGINS`.

    Raises:
        ConfigError: A variable under `ALKNET_FIREWALL_BEHAVIORS` does not name a behavior and a key.
    """
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        key = variable.removeprefix(PREFIX).lower()
        if key == "plugins":
            values[key] = [name.strip() for name in text.split(",") if name.strip()]
        elif text == "":
            continue
        elif key.split("__")[0] == "behaviors":
            behavior, setting = _behavior_and_setting(variable, key)
            values.setdefault("behaviors", {}).setdefault(behavior, {})[setting] = text
        else:
            values[key] = text
    return Source(_VARIABLE, values)


def read_file(path: str | Path) -> Source:
    """What a TOML file says: all of it, or the table `[tool.alknet-firewall]` of a `pyproject.toml`.

    Relative paths in the file are taken relative to it.

    Raises:
        ConfigError: The file cannot be read, is not TOML in UTF-8, or is a `pyproject.toml` without it.
    """
    path = Path(path)
    if path.name != "pyproject.toml":
        return Source(f"{path}:", _anchored(_parse(path), path.parent))
    source = _read_pyproject(path)
    if source is None:
        raise ConfigError(f"{path}: there is no table [tool.alknet-firewall] in it")
    return source


def read_folder(folder: Path) -> list[Source]:
    """What the configuration files in `folder` say, if it has any; the later of the list wins.

    Raises:
        ConfigError: As `read_file`; a `pyproject.toml` without our table is no error here.
    """
    pyproject, own = folder / "pyproject.toml", folder / FILE_NAME
    table = _read_pyproject(pyproject) if pyproject.exists() else None
    return [*([table] if table else []), *([read_file(own)] if own.exists() else [])]


def merged(sources: Iterable[Source]) -> dict[str, Any]:
    """The values of all sources in one dictionary; the later source wins, tables are merged key by key."""
    total: dict[str, Any] = {}
    for source in sources:
        total = _merge(total, source.values)
    return total


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    total = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(total.get(key), Mapping)
        total[key] = _merge(total[key], value) if both else value
    return total


def _behavior_and_setting(variable: str, key: str) -> tuple[str, str]:
    behavior, _, setting = key.removeprefix("behaviors").removeprefix("__").rpartition("__")
    if not behavior or not setting:
        raise ConfigError(
            f"{_VARIABLE} {variable}: should name a behavior and one of its keys, "
            f"as in {PREFIX}BEHAVIORS__HARMFUL__ACTION=block"
        )
    return behavior, setting


def _read_pyproject(path: Path) -> Source | None:
    table: Any = _parse(path)
    for key in ("tool", "alknet-firewall"):
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: [tool.alknet-firewall] should be a table")
        if key not in table:
            return None
        table = table[key]
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.alknet-firewall] should be a table")
    return Source(f"{path}: [tool.alknet-firewall]", _anchored(table, path.parent))


def _anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Takes the paths among the values relative to `folder`, made absolute; `hub:...` weights are no path."""
    for key in ("codebook", "weights"):
        text = values.get(key)
        if isinstance(text, str) and text and not text.startswith("hub:"):
            path = Path(text).expanduser() if text.startswith("~/") else Path(text)
            values[key] = str(folder.absolute() / path)
    return values


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = read_bounded(path, _LARGEST)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError(f"{path}: cannot be read: {told(error)}") from error
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8 (byte 0x{data[error.start]:02x})") from error
    except tomllib.TOMLDecodeError as error:
        last = data.count(b"\n") + 1
        where = str(error).replace("at end of document", f"at the end, line {last}")
        raise ConfigError(f"{path}: not valid TOML: {where}") from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise ConfigError(f"{path}: not a settings file ({type(error).__name__})") from error
