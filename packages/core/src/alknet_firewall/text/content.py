"""The text in what hosts call the content of a message: strings, parts, tool calls, results of any type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from alknet_firewall.text.wordless import is_label, spoken_in

_MEDIA = {
    *("image", "image_url", "input_image", "audio", "input_audio", "video", "file", "input_file", "document"),
    "computer_screenshot",
}
_KINDS = _MEDIA | {
    *("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal", "message"),
    *("reasoning", "function", "function_call", "function_call_output", "tool_call", "tool_use"),
    *("tool_result", "computer_call", "computer_call_output"),
}
"""Values of `type` by which a part of a message is known."""

_HANDLES = {
    *("type", "id", "role", "status", "call_id", "tool_call_id", "tool_use_id", "detail", "format"),
    *("media_type", "mime_type", "file_id"),
}
"""Keys of a part whose values are labels and ids, left out where they can be no words."""

_PAYLOADS = {"image", "image_url", "input_audio", "url", "data", "file_data", "file_url"}
"""Keys of an image, file or sound whose values are its data in base64, or a URL, which is text."""

_WRITTEN = {"arguments", "args", "input"}
"""Keys below which all is text: a model chose the shape."""

_LABELS = (
    _HANDLES
    | _PAYLOADS
    | _WRITTEN
    | {
        *("text", "content", "refusal", "output", "name", "function", "transcript"),
        *("title", "filename", "file", "source", "summary", "annotations", "logprobs"),
    }
)
"""Keys of a part that every part of its kind has: they tell nothing. Any other key is text as well."""


class _Place(Enum):
    """Where a value lies: that decides what may be left out."""

    ANYWHERE = 0
    PART = 1
    MEDIA = 2
    WRITTEN = 3


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
    part: its labels and ids and the base64 of images, files and sounds, and of these nothing that could be words.
    All other strings are text: keys, URLs, and whatever lies in the arguments of a call.

    Args:
        content: A string; None; a part as a mapping, dataclass or pydantic model; a sequence of these; or any
            value that a tool returned: of an object of unknown make, its `str()` is the text.
    """
    texts: list[str] = []
    without_text: list[str] = []
    # A stack and not recursion: whoever makes the content chooses its depth.
    waiting: list[tuple[object, _Place]] = [(content, _Place.ANYWHERE)]
    # Ends circles; holds what it names, so that no id is used again.
    seen: dict[tuple[int, _Place], object] = {}
    while waiting:
        item, place = waiting.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, (bytes, bytearray)):
            texts.append(item.decode("utf-8", "replace"))
        elif item is not None and (id(item), place) not in seen:
            plain = _plain(item)
            if isinstance(plain, Mapping):
                seen[id(item), place] = item
                without_text += [plain["type"]] if _kind(plain) in _MEDIA else []
                waiting.extend(reversed(list(_readable(plain, place))))
            elif isinstance(plain, (Sequence, Set)) and not isinstance(plain, str):
                seen[id(item), place] = item
                waiting.extend((each, place) for each in reversed(list(plain)))
            elif not (place in (_Place.PART, _Place.MEDIA) and isinstance(plain, (int, float))):
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


def _readable(mapping: Mapping[Any, Any], around: _Place) -> Iterator[tuple[object, _Place]]:
    """Keys and values to read, in order, each with its place."""
    place = _place(mapping, around)
    part = place in (_Place.PART, _Place.MEDIA)
    for key, value in mapping.items():
        label = part and key in _LABELS
        if not label:
            yield key, _Place.ANYWHERE
        if key in _WRITTEN or place is _Place.WRITTEN:
            yield (_decoded(value) if key == "arguments" else value), _Place.WRITTEN
        elif not label or key == "output":  # a tool chose the shape of its output
            yield value, _Place.ANYWHERE
        elif isinstance(value, str) and place is _Place.MEDIA and key in _PAYLOADS:
            yield from ((text, place) for text in spoken_in(value))
        elif not (isinstance(value, str) and key in _HANDLES and (value in _KINDS or is_label(value))):
            yield value, place


def _place(mapping: Mapping[Any, Any], around: _Place) -> _Place:
    """What a mapping is, in its surroundings."""
    kind = _kind(mapping)
    if around is _Place.WRITTEN or not (kind or ("role" in mapping and "content" in mapping)):
        return around
    return _Place.MEDIA if kind in _MEDIA else _Place.PART


def _decoded(value: object) -> object:
    """Arguments of a call as values: in JSON's spelling, escapes could hide the letters.

    An object is its list of pairs: a mapping would lose all but the last of equal keys.
    """
    try:
        return json.loads(value, object_pairs_hook=list) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
