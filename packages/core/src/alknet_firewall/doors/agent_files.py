"""Which files of a repository agents obey: instructions, rules, skills, prompts, settings of MCP servers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from alknet_firewall.errors import DataError

_NAMES = {
    *("agents.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md", "copilot-instructions.md"),
    *(".cursorrules", ".windsurfrules", ".clinerules", ".roorules", ".goosehints", "skill.md", "llms.txt"),
    *(".mcp.json", "mcp.json", "claude_desktop_config.json"),
}
_ENDINGS = (".mdc", ".prompt.md", ".instructions.md", ".agent.md", ".chatmode.md", ".prompty")
_FOLDERS = {
    *(".claude", ".cursor", ".codex", ".gemini", ".windsurf", ".clinerules", ".roo", ".continue", ".agents", "skills"),
    *("prompts", "instructions", "chatmodes", "agents"),
}
_ONLY_BELOW = {"prompts": ".github", "instructions": ".github", "chatmodes": ".github", "agents": ".github"}
_TEXT = {".md", ".mdc", ".txt", ".json", ".jsonc", ".toml", ".yaml", ".yml", ".rst"}
_SKIPPED = {".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".tox", "site-packages"}


def agent_files(paths: Iterable[Path]) -> list[Path]:
    """The files to look through, in order, each once.

    Args:
        paths: Files, taken as they are, and folders, searched for files that agents obey.

    Raises:
        DataError: A path does not exist, or a folder cannot be read.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        elif path.is_file():
            found[path] = None
        else:
            raise DataError(f"{path}: there is no such file or folder")
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    yield from _walked(folder, PurePath(), folder.resolve(), set())


def _walked(folder: Path, within: PurePath, root: Path, followed: set[object]) -> Iterator[Path]:
    """Agent files of a folder that stands at `within` in the repository at `root`.

    Links to folders are followed where agents look, as agents do: `.claude` may lead to a folder of any name. Each
    folder is followed once for all its files and once for those that count by their own names, none outside of the
    repository.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        here = within / Path(place).relative_to(folder)
        for name in filter(lambda name: _agents_look(here / name), folders):
            link, target = Path(place, name), Path(place, name).resolve()
            aim = target, is_agent_file(here / name / "any.md")
            if link.is_symlink() and target.is_relative_to(root) and aim not in followed:
                followed.add(aim)
                yield from _walked(link, here / name, root, followed)
        of_a_skill = any(name.lower() == "skill.md" for name in names)
        for name in sorted(names):
            path = Path(place, name)
            beside_a_skill = of_a_skill and path.suffix.lower() in _TEXT
            if (beside_a_skill or is_agent_file(here / name)) and path.is_file():
                yield path


def _agents_look(folder: PurePath) -> bool:
    """Whether agents look for files of any name in a folder, or in one below it."""
    return folder.name.lower() in _ONLY_BELOW.values() or is_agent_file(folder / "any.md")


def is_agent_file(path: PurePath) -> bool:
    """Whether agents obey such a file, by its path within a repository."""
    name, folders = path.name.lower(), [part.lower() for part in path.parts[:-1]]
    if name in _NAMES or name.endswith(_ENDINGS):
        return True
    if path.suffix.lower() not in _TEXT:
        return False
    return any(
        folder in _FOLDERS and (folder not in _ONLY_BELOW or (at > 0 and folders[at - 1] == _ONLY_BELOW[folder]))
        for at, folder in enumerate(folders)
    )
