"""What becomes of a message that an MCP server sends: passed on, changed, or answered in its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alknet_firewall.doors.mcp_notes import REFUSED, Message, failure, reason, warned, warning, with_warning
from alknet_firewall.doors.mcp_text import is_listing, parts_of, text_of, unit_lists
from alknet_firewall.firewall import Firewall
from alknet_firewall.hosts import describe
from alknet_firewall.text.wordless import is_label
from alknet_firewall.verdict import NOTICE, Verdict

OnAlarm = Literal["block", "redact", "annotate"]
"""Flagged text is withheld with all that came with it; or alone; or passed on behind a warning."""

CHANNEL = "tool"
_MOST_OPEN = 10_000  # requests of the client that wait for an answer
_KEYS = {"jsonrpc", "id", "method", "params", "result", "error"}
_KINDS = {"method", "result", "error"}
_BESIDE = "what stands beside the list"


@dataclass(frozen=True, slots=True)
class Passed:
    """What becomes of a message.

    Attributes:
        onward: What goes to the one it was meant for; None: nothing.
        back: What goes to its sender instead; None: nothing.
    """

    onward: Message | None = None
    back: Message | None = None


class MessageScreen:
    """Screens what a server says; remembers what the client asked, which is how an answer is known."""

    def __init__(self, firewall: Firewall, on_alarm: OnAlarm, tell: Callable[[str], None]) -> None:
        """Takes a firewall, what to do on an alarm, and who is told (in a line without any text of the server)."""
        self._firewall, self._on_alarm, self._tell = firewall, on_alarm, tell
        self._asked: dict[str, str] = {}
        self._withheld: set[str] = set()
        self._judged: dict[str, Verdict] = {}  # of one message, whose parts are often the same

    def from_client(self, message: Message) -> Passed:
        """Notes a request. A call of a tool that was withheld is answered here."""
        method, number = message.get("method"), message.get("id")
        if not isinstance(method, str) or number is None:
            return Passed(onward=message)
        params = message.get("params")
        name = params.get("name") if isinstance(params, Mapping) else None
        if method == "tools/call" and isinstance(name, str) and name in self._withheld:
            return Passed(back=failure(number, f"{NOTICE} This tool's description was flagged."))
        while len(self._asked) >= _MOST_OPEN:
            self._asked.pop(next(iter(self._asked)), None)  # its answer may come at this moment
        self._asked[json.dumps(number)] = method
        return Passed(onward=message)

    def from_server(self, given: Message) -> Passed:
        """Screens an answer, a request or a notification."""
        self._judged.clear()
        message = {key: value for key, value in given.items() if key in _KEYS}
        if len(_KINDS & message.keys()) != 1:  # it could be read in one way here and in another by the client
            self._tell("the server sent what is neither request nor answer: dropped")
            return Passed()
        if "method" in message:
            return self._said(message)
        method = self._asked.pop(json.dumps(message.get("id")), "")
        if "error" in message:
            return self._failed(message)
        result = message.get("result")
        if not isinstance(result, dict):  # no server sends this; a client could take it for anything
            return self._whole(message, "result", method)
        if method in ("initialize", "server/discover"):
            return self._welcome(message, result)
        if unit_lists(method) is None:
            return self._whole(message, "result", method)
        return self._listing(message, result, method) if is_listing(method) else self._content(message, result, method)

    def _listing(self, message: Message, result: Message, method: str) -> Passed:
        """Tools, prompts, resources: a flagged one is left out, alone."""
        entries, beside = parts_of(method, result)
        kept: list[Any] = []
        out: set[str] = set()
        for place, entry in enumerate(entries):
            verdict = self._flagged(entry)
            instead = entry if verdict is None else self._instead(entry, verdict, f"{method}, entry {place + 1}")
            if instead is not None:
                kept.append(instead)
            else:
                out.add(_name(entry))
        if method == "tools/list":
            self._withheld = (self._withheld - {_name(entry) for entry in kept}) | out
        verdict = self._flagged(beside)
        if verdict is not None:
            return self._stopped(message, verdict, f"{method}, {_BESIDE}")
        return Passed(onward={**message, "result": {**result, unit_lists(method) or "": kept}})

    def _content(self, message: Message, result: Message, method: str) -> Passed:
        """The result of a call, a prompt, a resource: one text in parts."""
        entries, beside = parts_of(method, result)
        whole = self._flagged(result)
        found = [self._flagged(entry) for entry in entries]
        other = self._flagged(beside)
        worst = next(filter(None, [whole, other, *found]), None)
        if worst is None:
            return Passed(onward=message)
        if self._on_alarm == "annotate":
            self._tell(f"{method}: {describe(worst)} Passed on with a warning.")
            return Passed(onward={**message, "result": warned(method, result, worst)})
        if self._on_alarm == "redact":
            kept = [
                entry if verdict is None else self._redacted(entry) for entry, verdict in zip(entries, found)
            ]
            changed = {**(beside if other is None else self._redacted(beside)), unit_lists(method) or "": kept}
            if self._flagged(changed) is None:
                self._tell(f"{method}: {describe(worst)} Redacted.")
                return Passed(onward={**message, "result": changed})
        return self._stopped(message, worst, method)

    def _welcome(self, message: Message, result: Message) -> Passed:
        """The server's name and its instructions to the model: without them the session can go on."""
        verdict = self._flagged(result)
        if verdict is None:
            return Passed(onward=message)
        if self._on_alarm == "annotate":
            self._tell(f"initialize: {describe(verdict)} Passed on with a warning.")
            return Passed(onward={**message, "result": with_warning(result, verdict)})
        silent = {**result, "instructions": NOTICE}
        if self._flagged(silent) is not None:
            return self._stopped(message, verdict, "initialize")
        self._tell(f"initialize: {describe(verdict)} Instructions withheld.")
        return Passed(onward={**message, "result": silent})

    def _failed(self, message: Message) -> Passed:
        """An error: its message is read by models, too."""
        error = message["error"]
        verdict = self._flagged(error)
        if verdict is None:
            return Passed(onward=message)
        self._tell(f"error: {describe(verdict)}")
        code = error.get("code") if isinstance(error, Mapping) else None
        told = NOTICE
        if self._on_alarm == "annotate" and isinstance(error, Mapping):
            told = f"{warning(verdict)}\n{error.get('message')}"
        return Passed(onward=failure(message.get("id"), told, code if isinstance(code, int) else REFUSED))

    def _said(self, message: Message) -> Passed:
        """A notification, or a request to the client, such as one to let its model write something."""
        passed = self._whole(message, "params", "notification or request")
        if passed.onward is None and "id" in message:  # who asked gets the answer, and the client hears nothing
            return Passed(back=failure(message["id"], NOTICE))
        return passed

    def _whole(self, message: Message, key: str, what: str) -> Passed:
        """A message that is judged as one."""
        value = message.get(key)
        verdict = self._flagged(value)
        if verdict is None:
            return Passed(onward=message)
        instead = self._instead(value, verdict, what)
        if instead is not None:
            return Passed(onward={**message, key: instead})
        return Passed() if key == "params" else Passed(onward=failure(message.get("id"), reason(verdict)))

    def _stopped(self, message: Message, verdict: Verdict, what: str) -> Passed:
        self._tell(f"{what}: {describe(verdict)} Withheld.")
        if what == "tools/call":
            told = {"content": [{"type": "text", "text": reason(verdict)}], "isError": True}
            return Passed(onward={"jsonrpc": "2.0", "id": message.get("id"), "result": told})
        return Passed(onward=failure(message.get("id"), reason(verdict)))

    def _instead(self, value: Any, verdict: Verdict, what: str) -> Any:
        """What takes the place of a flagged value; None: nothing."""
        if self._on_alarm == "annotate" and isinstance(value, Mapping):
            self._tell(f"{what}: {describe(verdict)} Passed on with a warning.")
            return with_warning(value, verdict)
        if self._on_alarm == "redact":
            changed = self._redacted(value)
            if self._flagged(changed) is None:
                self._tell(f"{what}: {describe(verdict)} Redacted.")
                return changed
        self._tell(f"{what}: {describe(verdict)} Withheld.")
        return None

    def _redacted(self, value: Any) -> Any:
        """The value with a notice in place of each string that is flagged by itself."""
        if isinstance(value, str):
            # Labels are what clients go by, and a word alone is too little to judge.
            return value if is_label(value) or self._flagged(value) is None else NOTICE
        if isinstance(value, list):
            return [self._redacted(each) for each in value]
        if isinstance(value, Mapping):
            return {key: self._redacted(inner) for key, inner in value.items()}
        return value

    def _flagged(self, value: Any) -> Verdict | None:
        text = text_of(value)
        if not text.strip() or text == NOTICE:
            return None
        verdict = self._judged.get(text) or self._firewall.screen(text, CHANNEL)
        self._judged[text] = verdict
        return verdict if verdict.flagged else None


def _name(entry: Any) -> str:
    return str(entry.get("name")) if isinstance(entry, Mapping) else ""
