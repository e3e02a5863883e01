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
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        of_a_skill = any(name.lower() == "skill.md" for name in names)
        for name in sorted(names):
            path = Path(place, name)
            beside_a_skill = of_a_skill and path.suffix.lower() in _TEXT
            if (beside_a_skill or is_agent_file(path.relative_to(folder))) and path.is_file():
                yield path


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
