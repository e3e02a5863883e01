"""The matrix as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_MARKS = {"held": "", "open": "**open**", "not here": "–"}
_TITLES = {
    "bare": "The bare firewall",
    "nemo": "NeMo Guardrails",
    "openai_agents": "OpenAI Agents SDK",
    "llamafirewall": "LlamaFirewall",
    "langchain": "LangChain",
    "litellm": "LiteLLM",
}
_HEAD = """# Fault matrix

<!-- made by `python -m tests.faults` (make faults): edit tests/faults, not this page -->

What happens when something goes wrong, tried in every slot of every host. A row is a fault, a column is a slot. Each
cell makes the fault happen and looks at what the model, the caller and the log got.

- **by policy**: while the fault lasts, a harmless text is handled as `on_error` says: under `block` and `review` no word
  of it reaches model or caller, under `allow` it arrives, under `raise` nothing passes. The kind of the error is named.
- **right answer**: the fault changes nothing: harmless text arrives, an attack is stopped.
- **no start**: the host refuses to start, with an error that names what is wrong.
- **nothing passes**: the call ends without an answer, and no word of the text came out.
- **–**: cannot be tried here; the note under the table says why.
- **open**: a hole that is known; the note says what was seen.

In every cell the fault is taken away afterwards, and in the same process harmless text must arrive and an attack must be
stopped, as before. The detector is a tiny one, as these faults are not about what it says; rows that say *the real
weights* use those of SmolLM2-135M.
"""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        fault: The row.
        host: The host.
        slot: The column.
        state: `held`, `open` or `not here`.
        said: What held; or why not.
        seconds: That it took.
    """

    fault: str
    host: str
    slot: str
    state: str
    said: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.host}, {self.slot}: {self.fault}: {self.state}, {self.said} ({self.seconds} s)"


def summary(cells: Sequence[Cell]) -> str:
    """How many cells there are of each state."""
    counts = Counter(cell.state for cell in cells)
    return (
        f"{len(cells)} cells: {counts['held']} hold, {counts['open']} are open, "
        f"{counts['not here']} cannot be tried."
    )


def page(cells: Sequence[Cell]) -> str:
    """The whole page."""
    parts = [_HEAD, summary(cells), ""]
    for host in dict.fromkeys(cell.host for cell in cells):
        own = [cell for cell in cells if cell.host == host]
        parts += [f"## {_TITLES.get(host, host)}", "", *_table(own), "", *_notes(own)]
    return "\n".join(parts).rstrip() + "\n"


def _table(cells: Sequence[Cell]) -> list[str]:
    slots = list(dict.fromkeys(cell.slot for cell in cells))
    lines = [_line(["fault", *slots]), _line(["---"] * (len(slots) + 1))]
    for fault in dict.fromkeys(cell.fault for cell in cells):
        by_slot = {cell.slot: cell for cell in cells if cell.fault == fault}
        lines.append(_line([fault, *(_mark(by_slot[slot]) for slot in slots)]))
    return lines


def _mark(cell: Cell) -> str:
    return cell.said if cell.state == "held" else _MARKS[cell.state]


def _notes(cells: Sequence[Cell]) -> list[str]:
    notes: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.state != "held":
            notes.setdefault((cell.fault, cell.said), []).append(cell.slot)
    all_slots = {cell.slot for cell in cells}
    lines = [
        f"- {fault} ({'all' if set(slots) == all_slots else ', '.join(slots)}): {said}"
        for (fault, said), slots in notes.items()
    ]
    return [*lines, ""] if lines else []


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(part.replace('|', '/') for part in parts)} |"
