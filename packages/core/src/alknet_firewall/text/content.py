"""The text in what hosts call the content of a message: strings, parts, tool calls, results of any type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

_MEDIA = {
    *("image", "image_url", "input_image", "audio", "input_audio", "video", "file", "input_file", "document"),
}
_KINDS = _MEDIA | {
    *("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal", "message"),
    *("reasoning", "function", "function_call", "function_call_output", "tool_call", "tool_use"),
    "tool_result",
}
"""Values of `type` by which a part of a message is known."""

_HANDLES = {
    *("type", "id", "role", "status", "call_id", "tool_call_id", "tool_use_id", "detail", "format"),
    *("media_type", "mime_type", "image", "image_url", "input_audio", "url", "data"),
    *("file_data", "file_id", "file_url"),
}
"""Keys of a part whose values a model does not read as words, if they are one word (an id, a URL, base64)."""

_LABELS = _HANDLES | {
    *("text", "content", "refusal", "output", "arguments", "args", "input", "name", "function", "transcript"),
    *("title", "filename", "file", "source", "summary", "annotations", "logprobs"),
}
"""Keys of a part that every part of its kind has: they tell nothing. Any other key is text as well."""


@dataclass(frozen=True, slots=True)
class Content:
    """What there is to screen in a message.

    Attributes:
        text: Its texts in order, one a line: what spans of its verdict refer to.
        without_text: The types of its images, files and sounds, whose data are not text, in order.
    """

    text: str
    without_text: tuple[str, ...] = ()


def content_text(content: object) -> str:
    """The text to screen in the content of a message: `read_content(content).text`."""
    return read_content(content).text


def read_content(content: object) -> Content:
    """Finds the text in the content of a message, whatever its shape.

    A tool's result may be made to look like a part, so the shape decides only what to leave out of a known
    part: labels, ids, URLs and encoded data. All other strings are text, keys too.

    Args:
        content: A string; None; a part as a mapping, dataclass or pydantic model; a sequence of these; or any
            value that a tool returned: of an object of unknown make, its `str()` is the text.
    """
    texts: list[str] = []
    without_text: list[str] = []
    # A stack and not recursion: whoever makes the content chooses its depth.
    waiting: list[tuple[object, bool]] = [(content, False)]  # with: does it lie inside a known part?
    seen: dict[int, object] = {}  # ends circles; holds what it names, so that no id is used again
    while waiting:
        item, inside = waiting.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, (bytes, bytearray)):
            texts.append(item.decode("utf-8", "replace"))
        elif item is not None and id(item) not in seen:
            plain = _plain(item)
            if isinstance(plain, Mapping):
                seen[id(item)] = item
                without_text += [plain["type"]] if _kind(plain) in _MEDIA else []
                waiting.extend(reversed(list(_readable(plain, inside))))
            elif isinstance(plain, (Sequence, Set)) and not isinstance(plain, str):
                seen[id(item)] = item
                waiting.extend((each, inside) for each in reversed(list(plain)))
            elif not inside:
                texts.append(str(plain))
    return Content("\n".join(text for text in texts if text), tuple(without_text))


def _plain(item: object) -> object:
    """A mapping of an object's fields where it has any, else the item itself."""
    if isinstance(item, type):
        return str(item)
    if is_dataclass(item):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    dump = getattr(item, "model_dump", None)
    return dump() if callable(dump) else item


def _kind(mapping: Mapping[Any, Any]) -> str:
    kind = mapping.get("type")
    return kind if isinstance(kind, str) and kind in _KINDS else ""


def _readable(mapping: Mapping[Any, Any], inside: bool) -> Iterator[tuple[object, bool]]:
    """Keys and values to read, in order."""
    message = "role" in mapping and "content" in mapping
    part = inside or message or _kind(mapping) != ""
    for key, value in mapping.items():
        if not (part and key in _LABELS):
            yield key, False
        if part and key in _HANDLES:
            if isinstance(value, str) and len(value.split()) < 2:
                continue
            yield value, True
        else:
            yield (_decoded(value) if key == "arguments" else value), part and key in _LABELS


def _decoded(value: object) -> object:
    """Arguments of a call as values: in JSON's spelling, escapes could hide the letters."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
