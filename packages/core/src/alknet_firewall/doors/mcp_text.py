"""What there is to read in a message of an MCP server: everything but the words of the protocol itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from alknet_firewall.text.content import content_text
from alknet_firewall.text.wordless import is_label, spoken_in

_HANDLES = {"progressToken", "requestId", "mimeType", "nextCursor", "level", "protocolVersion", "role", "type"}
"""Keys whose values are labels, left out where they can be no words."""

_SCHEMAS = {"inputSchema", "outputSchema", "requestedSchema"}
_KEYWORDS = {
    *("type", "properties", "required", "items", "enum", "const", "default", "anyOf", "oneOf", "allOf", "not", "$ref"),
    *("additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "uniqueItems", "pattern", "format", "$defs", "definitions", "$schema", "title"),
    *("description", "examples", "nullable", "prefixItems", "multipleOf"),
}
_TYPES = {"object", "string", "number", "integer", "boolean", "array", "null"}
_DIALECT = "json-schema.org/"


def text_of(value: object) -> str:
    """The text of a message, or of a part of one: keys and values that could be words, one a line."""
    if isinstance(value, str):
        return value
    return "\n".join(text for text in _texts(value) if text)


def _texts(value: object) -> Iterator[str]:
    # The depth is bounded: the message has been parsed, and the parser refuses what is nested too deeply.
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Mapping):
        media = value.get("type") in ("image", "audio")
        for key, inner in value.items():
            if key in _SCHEMAS and isinstance(inner, Mapping):
                yield from _schema(inner)
            elif isinstance(inner, str) and key in _HANDLES and is_label(inner):
                continue
            elif isinstance(inner, str) and (key == "blob" or (media and key == "data")):
                yield from _decoded(inner)
            elif isinstance(inner, str) and inner.startswith("data:"):
                yield from spoken_in(inner)
            else:
                if not _is_name(key):
                    yield key
                yield from _texts(inner)
    elif value is not None and not isinstance(value, (bool, int, float)):
        yield content_text(value)


def _schema(value: object) -> Iterator[str]:
    """Strings of a JSON schema but its keywords and the names of types."""
    if isinstance(value, str):
        if value not in _TYPES and _DIALECT not in value[:40]:
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _schema(each)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _KEYWORDS and not is_label(key):  # names of arguments say nothing, unless they are sentences
                yield key
            yield from _schema(inner)


def _decoded(payload: str) -> Iterator[str]:
    """Base64 of text is that text; of anything else only what could be words in it."""
    try:
        yield base64.b64decode(payload, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):  # ValueError: bytes that are no text
        yield from spoken_in(payload)


def _is_name(key: str) -> bool:
    return len(key) <= 40 and is_label(key)


def unit_lists(method: str) -> str | None:
    """The key of a result that holds a list whose entries stand for themselves; None if there is none."""
    return _LISTS.get(method)


_LISTS: dict[str, str] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "tools/call": "content",
    "prompts/get": "messages",
    "resources/read": "contents",
}


def is_listing(method: str) -> bool:
    """Whether entries are things to choose from, so that one may be missing."""
    return method.endswith("/list")


def parts_of(method: str, result: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The entries of a result's list, and what stands beside it."""
    key = unit_lists(method)
    entries = result.get(key) if key else None
    if not isinstance(entries, list):
        return [], dict(result)
    return entries, {name: value for name, value in result.items() if name != key}
