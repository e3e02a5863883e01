"""What a reader of the rendered page does not see: comments, texts for images, hidden elements, link titles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import prose, words_of

FEWEST_WORDS = 5
"""Words of a hidden text that is worth reading apart."""

FEWEST_OF_LABEL = 6
"""Words of what describes an image or a link: short ones are everyday, and stand in the text as it is."""

_CJK = 0x3040  # from here on words are written without spaces, of some two characters each

_TAG = re.compile(r"<(/?)([A-Za-z](?:[A-Za-z0-9-]{0,19}(?![A-Za-z0-9-])|[A-Za-z0-9-]{20}))([^<>]{0,4000})>")
_ATTRIBUTE = re.compile(
    r"\b(?:alt|title|aria-label|aria-description|placeholder|content|summary|value|data-[a-z-]{1,20})\s{0,4}=\s{0,4}"
    r"(?:\"([^\"]{8,4000})\"|'([^']{8,4000})')",
    re.IGNORECASE,
)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:opacity|font-size)\s*:\s*0(?![.\d]*[1-9])"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}|(?<![-\w:])(?<!: )hidden(?=[\s/=]|$)|clip\s*:\s*rect\(\s*0",
    re.IGNORECASE,
)
_WHITE = re.compile(
    r"(?<!-)color\s*[:=]\s*[\"']?(?:white\b|#fff\b|#ffffff\b|transparent|rgba?\(\s*255\s*,\s*255\s*,\s*255)",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"!\[([^\[\]\n]{8,2000})\]\(")
_LINK_TITLE = re.compile(r"\]\([^\s()]{0,500}\s{1,8}(?:\"([^\"\n]{8,2000})\"|'([^'\n]{8,2000})')\)")
_MARKDOWN_COMMENT = re.compile(
    r"^\[[^\]\n]{1,40}\]:[ \t]*(?:<>|#)[ \t]*[(\"']([^\n]{8,4000})[)\"']", re.MULTILINE
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


def find_hidden(reading: Reading) -> list[tuple[int, int]]:
    """Finds hidden texts of some length.

    Returns:
        Half-open ranges in order, without overlap.
    """
    text = reading.text
    found: list[tuple[int, int, int]] = []
    if "<" in text:
        found += ((start, end, FEWEST_WORDS) for start, end in _comments(text))
        found += _in_tags(text)
    if "](" in text:
        found += (
            (*span, FEWEST_OF_LABEL) for pattern in (_IMAGE, _LINK_TITLE) for span in _groups(pattern, text)
        )
    if "]:" in text:
        found += ((*span, FEWEST_WORDS) for span in _groups(_MARKDOWN_COMMENT, text))
    kept: list[tuple[int, int]] = []
    for start, end, fewest in sorted(found):
        if (not kept or start >= kept[-1][1]) and _says_something(text[start:end], fewest):
            kept.append((start, end))
    return kept


def _says_something(piece: str, fewest: int) -> bool:
    words = len(words_of(piece)) + sum(ord(sign) >= _CJK for sign in piece) // 2
    return words >= fewest and prose(piece)


def _groups(
    pattern: re.Pattern[str], text: str, start: int = 0, end: int | None = None
) -> list[tuple[int, int]]:
    matches = pattern.finditer(text, start, len(text) if end is None else end)
    return [match.span(match.lastindex or 0) for match in matches]


def _comments(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    while (start := text.find("<!--", end)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:  # a browser hides all the rest
            end = len(text)
        yield start + 4, end


def _in_tags(text: str) -> Iterator[tuple[int, int, int]]:
    """Attributes that hold text, and what stands in hidden elements between their tags; each with its fewest words."""
    name, depth, shown_until = "", 0, 0
    for tag in _TAG.finditer(text):
        closes, element, attributes = tag[1], tag[2].lower(), tag[3]
        if depth and shown_until < tag.start():
            yield shown_until, tag.start(), FEWEST_WORDS
        shown_until = tag.end()
        if not closes and "=" in attributes:
            yield from ((*span, FEWEST_OF_LABEL) for span in _groups(_ATTRIBUTE, text, *tag.span(3)))
        if depth:
            depth += (element == name) * (-1 if closes else 1)
        elif not closes and element not in _VOID and not attributes.endswith("/") and _hides(attributes):
            name, depth = element, 1
    if depth and shown_until < len(text):
        yield shown_until, len(text), FEWEST_WORDS


def _hides(attributes: str) -> bool:
    if _HIDING.search(attributes):
        return True
    return "background" not in attributes.lower() and bool(_WHITE.search(attributes))
