"""Renews what the pages print and include: the output of commands, and files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent


def renew(page: Path) -> None:
    """Renews one page; it is written only if something has changed."""
    content = page.read_text(encoding="utf-8")
    if (new := _with_includes(_with_examples(content))) != content:
        page.write_text(new, encoding="utf-8")


def _with_examples(content: str) -> str:
    """The page with the output of each command between `<!-- run: ... -->` and `<!-- end -->` renewed."""

    def renewed(match: re.Match[str]) -> str:
        command = match.group(1)
        return f"<!-- run: {command} -->\n```console\n$ {command}\n{_printed(command)}\n```\n<!-- end -->"

    return re.sub(r"<!-- run: (.+?) -->\n.*?<!-- end -->", renewed, content, flags=re.DOTALL)


def _with_includes(content: str) -> str:
    """The page with the files named by `<!-- include: ... -->` put in up to `<!-- end -->`."""

    def renewed(match: re.Match[str]) -> str:
        source = (DOCS / match.group(1)).read_text(encoding="utf-8").rstrip()
        return f"<!-- include: {match.group(1)} -->\n```python\n{source}\n```\n<!-- end -->"

    return re.sub(r"<!-- include: (.+?) -->\n.*?<!-- end -->", renewed, content, flags=re.DOTALL)


def _printed(command: str) -> str:
    program = "from alknet_firewall.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", program, *shlex.split(command)[1:]],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    if run.returncode not in (0, 3):
        raise SystemExit(f"{command}: {run.stderr}")
    return "\n".join(each.rstrip() for each in run.stdout.strip("\n").splitlines())
