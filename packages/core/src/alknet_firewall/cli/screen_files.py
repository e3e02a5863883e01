"""`alknet-firewall screen-files`: looks through the files of a repository that agents obey."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.cli.screen import FLAGGED, Channel
from alknet_firewall.errors import DataError

if TYPE_CHECKING:
    from alknet_firewall.doors.findings import Finding

_HEAD = "# Accepted findings of `alknet-firewall screen-files`: SHA-256 of flagged text. Review changes as code.\n"


class Format(str, Enum):
    """How findings are printed."""

    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def screen_files_command(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders to search for files that agents obey.")],
    channel: Annotated[Channel, typer.Option(help="What the files are screened as.")] = Channel.DOCUMENT,
    output: Annotated[
        Format, typer.Option("--format", help="text: file:line:column; github: annotations; json: one a line.")
    ] = Format.TEXT,
    accepted: Annotated[Path, typer.Option(help="File of accepted findings.")] = Path(".alknet-firewall-accepted"),
    accept: Annotated[bool, typer.Option("--accept", help="Add what is found to that file, and exit with 0.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file (default: the environment alone).")] = None,
) -> None:
    """Screen AGENTS.md, CLAUDE.md, skills, .mcp.json and the like. Exit status: 0 clear, 3 flagged, 1 failure."""
    from alknet_firewall.cli.render import console, print_warning
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.doors.agent_files import agent_files
    from alknet_firewall.doors.findings import findings_in, read_accepted
    from alknet_firewall.firewall import Firewall

    files = agent_files(paths)
    known = read_accepted(accepted)
    if not files:
        print_warning("there is no file that agents obey: nothing was screened")
        return
    # Settings of the repository itself are not obeyed: whoever plants an order could plant them as well.
    firewall = Firewall(FirewallConfig() if config is None else FirewallConfig.from_file(config)).warm_up()
    found = [each for file in files for each in findings_in(firewall, file, channel.value, known)]
    for each in found:
        typer.echo(_PRINTED[output](each))
    if accept:
        _write(accepted, found)
    elif output is Format.TEXT:
        what_next = "; look at them, then accept what is meant: --accept" if found else ""
        console().print(f"{_counted(len(found), 'finding')} in {_counted(len(files), 'file')}{what_next}")
    raise typer.Exit(FLAGGED if found and not accept else 0)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _text(finding: Finding) -> str:
    from alknet_firewall.cli.render import visible

    return f"{visible(str(finding.path))}:{finding.line}:{finding.column}: {_told(finding)}"


def _github(finding: Finding) -> str:
    kind = "error" if finding.action.value == "block" else "warning"
    place = f"line={finding.line},col={finding.column},endLine={finding.end_line},endColumn={finding.end_column}"
    path = _escaped(str(finding.path)).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={path},{place},title=alknet-firewall::{_escaped(_told(finding))}"


def _json(finding: Finding) -> str:
    values = {name: getattr(finding, name) for name in finding.__slots__}
    return json.dumps({**values, "path": str(finding.path), "action": finding.action.value})


_PRINTED = {Format.TEXT: _text, Format.GITHUB: _github, Format.JSON: _json}


def _told(finding: Finding) -> str:
    from alknet_firewall.cli.render import rate_in_words

    if finding.false_alarm_rate >= 1:
        return f"{finding.behavior} ({finding.action.value})"
    return f"{finding.behavior} ({finding.action.value}): {rate_in_words(finding.false_alarm_rate, finding.channel)}"


def _escaped(text: str) -> str:
    """As GitHub wants it: a line feed in a file's name would be a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _write(file: Path, found: Sequence[Finding]) -> None:
    from alknet_firewall.cli.render import visible

    before = file.read_text(encoding="utf-8") if file.exists() else _HEAD
    lines = [
        f"{each.hash}  # {each.behavior}, {visible(str(each.path))}:{each.line}\n"
        for each in {each.hash: each for each in found}.values()
    ]
    text = before + ("" if before.endswith("\n") else "\n") + "".join(lines)
    try:  # under a name that nobody can know: a stranger's repository may hold a link of any other
        handle, new = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as writing:
                writing.write(text)
            os.chmod(new, 0o644)  # it is kept beside the code, for all to read
            os.replace(new, file)
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"{file}: cannot be written ({error.strerror})") from error
