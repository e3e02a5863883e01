"""Strings that can be no words: ids, labels and base64, told from words written without spaces."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

_LABEL = re.compile(r"[0-9A-Za-z_./+-]{0,80}")
_BASE64 = re.compile(r"[0-9A-Za-z+/_\r\n-]*={0,2}")
_DATA_URL = re.compile(r"(data:[^,]{0,200};base64),(.*)", re.DOTALL)
_PLAIN_HEADER = re.compile(r"data:[a-z]{1,11}/[0-9a-z]{1,8};base64")
_JOINED = re.compile(r"(?<![0-9A-Za-z])(?:[A-Za-z]+[-_./+]+){2,}[A-Za-z]+(?![0-9A-Za-z])")
"""Three words or more, joined by other characters than spaces."""

_RUN = re.compile(r"(?:[A-Z]?[a-z]{2,}|[-_./+\r\n])+")
"""Words run together, in camel case or joined. Swapping the case finds those in capitals."""

_SHORT = 64
"""Characters: longer base64 has runs of letters between + and / by chance."""

_WORD = 24
"""Characters of the longest word, or label, that cannot be a sentence of its own."""

_AROUND = " \t\n.,:;!?\"'`()[]{}<>#*=-"

_LETTERS = 8
"""Different characters that a run must have: data often repeat one, as AAAA."""


def is_label(text: str) -> bool:
    """Whether a string is a label or an id, such as `call_x9Qz7`, and no sentence written without spaces."""
    return bool(_LABEL.fullmatch(text)) and not _JOINED.search(text) and not any(_runs(text))


def is_word(text: str) -> bool:
    """Whether a text is one short word or label, with nothing but signs around it: `system`, `"ok".`, `- id:`."""
    word = text.strip(_AROUND)
    return 0 < len(word) <= _WORD and is_label(word)


def spoken_in(payload: str) -> Iterator[str]:
    """What there is to read in the data of an image, file or sound.

    Args:
        payload: Base64, alone or as data URL: nothing is read but runs of letters that chance does not make.
            Anything else, a URL too, is read whole.
    """
    url = _DATA_URL.fullmatch(payload)
    header, data = url.groups() if url else ("", payload)
    data = data.strip()
    if not _BASE64.fullmatch(data) or (len(data) < _SHORT and _JOINED.search(data)):
        yield payload
        return
    if header and not _PLAIN_HEADER.fullmatch(header):
        yield header
    yield from _runs(data)


def _runs(text: str) -> Iterator[str]:
    """Runs of letters that look like words, and are so long that one random text in a hundred has such a one."""
    # From one character to the next, random base64 goes on looking like words with a chance of about 0.62.
    enough = math.log(100 * len(text) + 1) / -math.log(0.62)
    for cased in (text, text.swapcase()):
        for run in _RUN.finditer(cased):
            found = run.group()
            if len(found) >= enough and len(set(found)) >= _LETTERS:
                yield text[run.start() : run.end()]
