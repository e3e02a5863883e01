"""The pages of the documentation and the fenced blocks in them, for the tests that run what stands there.

A block is left out if a comment before it says why: `<!-- not run: it needs a cluster -->`.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    }
)
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n)?"
    r"(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\s`]*)[^\n`]*\n(?P<code>.*?)^(?P=indent)(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line of a `sh` or `console` block, without what other programs do before or after it."""

    block: Block
    environment: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    line: str

    def __str__(self) -> str:
        return f"{self.block}: {self.line}"


def all_blocks() -> Iterator[Block]:
    """Every fenced block of every page."""
    for page in PAGES:
        content = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(content):
            line = content.count("\n", 0, match.start("fence")) + 1
            code = textwrap.dedent(match["code"])
            yield Block(page, line, match["language"], code, match["reason"])


def blocks(*languages: str, page: Path | None = None) -> list[Block]:
    """The blocks in these languages that are to be run."""
    found = (block for block in all_blocks() if block.language in languages and block.reason is None)
    return [block for block in found if page in (None, block.page)]


def commands(program: str) -> Iterator[Command]:
    """The lines that call a program, in pages whose shell blocks are to be run."""
    for block in blocks("sh", "console", "bash"):
        for line in block.code.replace("\\\n", " ").splitlines():
            if block.language == "console" and not line.startswith("$ "):
                continue  # what the program printed
            typed = line.removeprefix("$ ").strip()
            for words in _simple_commands(typed):
                settings = tuple(takewhile(lambda word: re.match(r"[A-Z_]+=", word), words))
                words = words[len(settings) :]
                if words and words[0] == program:
                    environment = tuple(
                        (name, value) for name, _, value in (s.partition("=") for s in settings)
                    )
                    yield Command(block, environment, tuple(words[1:]), typed)


def _simple_commands(typed: str) -> Iterator[list[str]]:
    """The words of each command of a line, without redirections."""
    lexer = shlex.shlex(typed, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    into_file = False
    for word in lexer:
        if set(word) <= set("|&;"):
            yield words
            words = []
        elif into_file or set(word) <= set("<>"):
            into_file = not into_file
        else:
            words.append(word)
    yield words
