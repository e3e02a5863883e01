"""The text in what hosts stream: pieces of text, chunks that carry one, events of OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from alknet_firewall.text.content import read_content

_MODELS_OWN = ("assistant", "function_call", "custom_tool_call", "reasoning")
"""Roles and types of items that a model writes."""

_SEALED = {
    "image_generation_call": "result",
    "reasoning": "encrypted_content",
    "compaction": "encrypted_content",
}
"""Keys of items whose values are long and never words, by the items that have them: elsewhere they may hold text."""

_SOUND = "response.audio.delta"  # base64
_PLACES = ("item_id", "content_index", "summary_index", "command_index")
_WHOLE = ("text", "refusal", "input", "code", "command", "part", "annotation")


@dataclass(frozen=True, slots=True)
class Said:
    """What one item of a stream says.

    Attributes:
        part: The text that `piece` belongs to; None: the item is no piece of a text.
        piece: Goes on where the last item of the same part ended.
        arguments: Whether the part is the arguments of a call, in JSON, which are read when they are whole.
        whole: Texts that are whole. Most of them repeat what came in pieces.
    """

    part: Hashable | None = None
    piece: str = ""
    arguments: bool = False
    whole: tuple[str, ...] = ()


def read_streamed(item: object) -> Said:
    """Finds what an item of a stream says.

    Args:
        item: A string; a mapping with the key `text`; or an event of the Responses API, alone or as the Agents SDK
            hands it on. Of tools' results and other items that the model did not write nothing is read.
    """
    if isinstance(item, str):
        return Said("", item)
    if isinstance(item, Mapping):
        text = item.get("text")
        return Said("", text if isinstance(text, str) else "")
    event: Any = getattr(item, "data", item)
    kind, delta = getattr(event, "type", ""), getattr(event, "delta", None)
    if isinstance(delta, str) and kind != _SOUND:
        part = (kind, *(getattr(event, place, None) for place in _PLACES))
        return Said(part, delta, arguments="_arguments." in kind)
    return Said(whole=tuple(read_content(content).text for content in _contents(event)))


def item_content(item: Mapping[str, Any]) -> tuple[str, object]:
    """Who wrote an item of the Responses API, as a channel, and what there is to read in it."""
    own = item.get("role", item.get("type")) in _MODELS_OWN
    channel = "response" if own else "user" if "role" in item else "tool"
    return channel, {key: value for key, value in item.items() if key != _SEALED.get(item.get("type", ""))}


def arguments_text(arguments: str) -> str:
    """The text in the arguments of a call, in JSON."""
    return read_content({"type": "function_call", "arguments": arguments}).text


def _contents(event: object) -> list[object]:
    """What is written in an event that brings no piece: parts and items, each to be read by itself."""
    found = [value for name in _WHOLE if (value := getattr(event, name, None)) is not None]
    arguments = getattr(event, "arguments", None)
    if isinstance(arguments, str):
        found.append({"type": "function_call", "arguments": arguments})
    item = getattr(event, "item", None)
    items = [
        getattr(item, "raw_item", item),
        *(getattr(getattr(event, "response", None), "output", None) or ()),
    ]
    read = [item_content(each) for each in map(_mapping, items) if each is not None]
    return found + [content for channel, content in read if channel == "response"]


def _mapping(item: object) -> Mapping[str, Any] | None:
    dump = getattr(item, "model_dump", None)
    plain = dump() if callable(dump) else item
    return plain if isinstance(plain, Mapping) else None
