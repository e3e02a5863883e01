"""How things look in a terminal. Untrusted text reaches it only through `visible`, never as markup."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from alknet_firewall.text.ranges import joined
from alknet_firewall.verdict import Action

STYLES = {Action.ALLOW: "green", Action.REVIEW: "yellow", Action.BLOCK: "red"}
_BENIGN = {
    "user": "benign user messages",
    "document": "benign documents",
    "tool": "benign tool results",
    "response": "benign responses",
}
_CONTROL_PICTURES = 0x2400
_MARKS_IN_A_ROW = 4  # more combining marks on one letter spill over other lines


def console() -> Console:
    """For results, on standard output."""
    return Console(markup=False, highlight=False, emoji=False)


def errors() -> Console:
    """For everything else, on standard error."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def print_error(message: str) -> None:
    """One clear message on standard error."""
    lines = "\n".join(visible(line) for line in message.splitlines())
    errors().print(Text.assemble(("error: ", "bold red"), lines), soft_wrap=True)


def print_warning(message: str) -> None:
    """A warning on standard error."""
    errors().print(Text.assemble(("warning: ", "bold yellow"), visible(message)), soft_wrap=True)


def visible(text: str, *, keep_lines: bool = False) -> str:
    """The text with everything replaced that could steer a terminal or hide: escapes, direction marks, ...

    Args:
        text: Any text, lone surrogates included.
        keep_lines: Leave line feeds and tabs as they are; otherwise they are shown as signs.
    """
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if keep_lines and character in "\n\t":
            shown.append(character)
        elif character == " " or (category[0] not in "CZ" and marks <= _MARKS_IN_A_ROW):
            shown.append(character)
        elif category == "Zs":
            shown.append(" ")
        elif marks <= _MARKS_IN_A_ROW:
            shown.append(_sign(character))
    return "".join(shown)


def _sign(character: str) -> str:
    point = ord(character)
    if character == "\n":
        return "\u21b5"
    if point < 0x20:
        return chr(_CONTROL_PICTURES + point)
    return "\u2421" if point == 0x7F else f"<U+{point:04X}>"


def shortened(text: str, limit: int) -> str:
    """At most about `limit` characters, the middle left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]} \u2026 {text[len(text) - (limit - head - 3) :]}"


def excerpt(text: str, limit: int) -> str:
    """A text on one line: shortened, then made visible."""
    return visible(shortened(text.strip(), limit))


def rate_in_words(rate: float, channel: str) -> str:
    """A false-alarm rate as people say it: `1 in 1,000 benign documents scores this high`."""
    if rate >= 1:
        return f"all {_BENIGN[channel]} score this high"
    if rate > 0.2:
        return f"{rate:.0%} of {_BENIGN[channel]} score this high"
    return f"1 in {round(1 / rate):,} {_BENIGN[channel]} scores this high"


def percent(share: float) -> str:
    """`12 %`, with a decimal under ten."""
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def bar(value: float, largest: float, width: int) -> Text:
    """A bar of `2 * width + 1` cells from a line in the middle: right for evidence, left against it."""
    cells = min(width, round(width * abs(value) / largest)) if largest > 0 else 0
    full, empty = "\u2588" * cells, " " * (width - cells)
    if value < 0:
        return Text.assemble(empty, (full, "green"), ("\u2502", "dim"), " " * width)
    return Text.assemble(" " * width, ("\u2502", "dim"), (full, "red"), empty)


def marked(text: str, spans: Sequence[tuple[int, int]], *, around: int = 240, longest: int = 600) -> Text:
    """A text with ranges marked; of a long text, what stands around them.

    Args:
        text: As it was screened.
        spans: Half-open ranges of characters; may overlap.
        around: Characters shown before and behind a range.
        longest: Characters shown of a range itself, and of a text without ranges.
    """
    ranges = joined(spans)
    if not ranges:
        return Text(visible(shortened(text, longest), keep_lines=True))
    shown = Text()
    at = 0
    for i, (start, end) in enumerate(ranges):
        following = ranges[i + 1][0] if i + 1 < len(ranges) else len(text)
        _append_between(shown, text[at:start], before=around, behind=around if i else 0)
        shown.append("\u25b8", "bold red")
        shown.append(visible(shortened(text[start:end], longest), keep_lines=True), "bold red")
        shown.append("\u25c2", "bold red")
        at = end
        if following == len(text):
            _append_between(shown, text[end:], before=0, behind=around)
    return shown


def _append_between(shown: Text, text: str, *, before: int, behind: int) -> None:
    """What stands between two ranges: `behind` characters after the one, `before` in front of the other."""
    if len(text) > before + behind:
        start, end = text[:behind], text[len(text) - before :]
        shown.append(visible(start, keep_lines=True))
        shown.append(" \u2026 ", "dim")
        shown.append(visible(end, keep_lines=True))
    else:
        shown.append(visible(text, keep_lines=True))


def progress_bar(unit: str) -> Progress:
    """A bar with what is done, the time taken and the time left; on standard error, only in a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=errors(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
