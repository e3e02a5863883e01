"""Ways to write words that can be undone without loss and that language models of today read without being told how.

Each is a pair: `write`, and `read` that undoes it. Whether a pair is used for a text is decided by trying: `written`
gives nothing where `read(write(text))` is not the text.
"""

from __future__ import annotations

import base64
import codecs
import html
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

Disguise = tuple[Callable[[str], str], Callable[[str], str]]


def written(disguise: Disguise, text: str) -> str | None:
    """The text in a disguise, or None where it would lose something."""
    write, read = disguise
    try:
        found = write(text)
        return found if read(found) == text else None
    except (ValueError, KeyError, LookupError):
        return None


def _shift(text: str, by: int) -> str:
    return "".join(
        chr((ord(c) - base + by) % 26 + base) if (base := 65 if "A" <= c <= "Z" else 97 if "a" <= c <= "z" else 0) else c
        for c in text
    )


def _mirror(text: str) -> str:
    return "".join(chr(155 - ord(c)) if "A" <= c <= "Z" else chr(219 - ord(c)) if "a" <= c <= "z" else c for c in text)


def _joined(by: str) -> Disguise:
    """Words with something else than a blank between."""
    return lambda t: t.replace(" ", by), lambda t: t.replace(by, " ")


def _between(put: str) -> Disguise:
    """Something between the letters of a word, and words farther apart."""
    wide = f" {put} " if put.strip() else "   "
    return (
        lambda t: wide.join(put.join(word) for word in t.split(" ")),
        lambda t: " ".join(word.replace(put, "") if put else word for word in t.split(wide)),
    )


def _letters(offset_upper: int, offset_lower: int) -> Disguise:
    """Latin letters from another block of Unicode."""
    table = {chr(65 + i): chr(offset_upper + i) for i in range(26)} | {chr(97 + i): chr(offset_lower + i) for i in range(26)}
    back = {b: a for a, b in table.items()}
    return lambda t: "".join(table.get(c, c) for c in t), lambda t: "".join(back.get(c, c) for c in t)


def _swapped(plain: str, other: str) -> Disguise:
    return lambda t: t.translate(str.maketrans(plain, other)), lambda t: t.translate(str.maketrans(other, plain))


def _twice(outer: Disguise, inner: Disguise) -> Disguise:
    return lambda t: outer[0](inner[0](t)), lambda t: inner[1](outer[1](t))


def _lines(mark: str) -> Disguise:
    """A word a line, behind a mark."""
    return (
        lambda t: "\n".join(f"{mark}{word}" for word in t.split(" ")),
        lambda t: " ".join(line.removeprefix(mark) for line in t.split("\n")),
    )


_BASE64: Disguise = (lambda t: base64.b64encode(t.encode()).decode(), lambda t: base64.b64decode(t).decode())
_HEX: Disguise = (lambda t: t.encode().hex(), lambda t: bytes.fromhex(t).decode())
_ROT13: Disguise = (lambda t: codecs.encode(t, "rot13"), lambda t: codecs.decode(t, "rot13"))
_REVERSED: Disguise = (lambda t: t[::-1], lambda t: t[::-1])

OF_WORDS: Mapping[str, Disguise] = {
    "reversed": _REVERSED,
    "rot13": _ROT13,
    "base64": _BASE64,
    "hexadecimal": _HEX,
    "percent": (lambda t: "".join(f"%{byte:02X}" for byte in t.encode()), unquote),
    "entities": (lambda t: "".join(f"&#{ord(c)};" for c in t), html.unescape),
    "hyphens": _between("-"),
    "dots": _between("."),
    "leetspeak": _swapped("aeiostAEIS", "431057@€!$"),
    "Cyrillic": _swapped("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ"),
    "case turned": (str.swapcase, str.swapcase),
    "small capitals": _swapped("abcdefghijklmnoprstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"),
    "soft break": (lambda t: f"{t[: len(t) // 2]}-\n{t[len(t) // 2 :]}", lambda t: t.replace("-\n", "")),
    "emphasis": (lambda t: f"**{t[0]}**{t[1:]}", lambda t: t.replace("**", "")),
    "parted and joined": (
        lambda t: f'"{t[: len(t) // 2]}" + "{t[len(t) // 2 :]}"', lambda t: t[1:-1].replace('" + "', "")
    ),
}  # fmt: skip
"""For a whole text as well as for single words."""

OF_TEXTS: Mapping[str, Disguise] = {
    **OF_WORDS,
    "letters apart": _between(" "),
    "underlines": _joined("_"),
    "slashes": _joined("/"),
    "plus signs": _joined("+"),
    "hyphens between words": _joined("-"),
    "pipes": _joined(" | "),
    "full-width": _letters(0xFF21, 0xFF41),
    "mathematical script": _letters(0x1D4D0, 0x1D4EA),
    "circled letters": _letters(0x24B6, 0x24D0),
    "regional letters": _letters(0x1F170, 0x1F1E6),
    "words backwards": (lambda t: " ".join(t.split(" ")[::-1]), lambda t: " ".join(t.split(" ")[::-1])),
    "letters of words backwards": (
        lambda t: " ".join(word[::-1] for word in t.split(" ")), lambda t: " ".join(word[::-1] for word in t.split(" "))
    ),
    "Caesar 3": (lambda t: _shift(t, 3), lambda t: _shift(t, -3)),
    "Atbash": (_mirror, _mirror),
    "base32": (lambda t: base64.b32encode(t.encode()).decode(), lambda t: base64.b32decode(t).decode()),
    "base85": (lambda t: base64.b85encode(t.encode()).decode(), lambda t: base64.b85decode(t).decode()),
    "base64 thrice": _twice(_BASE64, _twice(_BASE64, _BASE64)),
    "base64 of rot13": _twice(_BASE64, _ROT13),
    "base64 of hexadecimal, reversed": _twice(_REVERSED, _twice(_BASE64, _HEX)),
    "hexadecimal by bytes": (lambda t: t.encode().hex(" "), lambda t: bytes.fromhex(t).decode()),
    "binary": (
        lambda t: " ".join(f"{byte:08b}" for byte in t.encode()), lambda t: bytes(int(b, 2) for b in t.split()).decode()
    ),
    "decimal codes": (
        lambda t: " ".join(str(ord(c)) for c in t), lambda t: "".join(chr(int(number)) for number in t.split())
    ),
    "percent, as links": (lambda t: quote(t, safe=""), unquote),
    "backslash escapes": (
        lambda t: t.encode("ascii").decode().translate({i: f"\\x{i:02x}" for i in range(128)}),
        lambda t: codecs.decode(t, "unicode_escape"),
    ),
    "list of words": (lambda t: json.dumps(t.split(" ")), lambda t: " ".join(json.loads(t))),
    "word a line": _lines(""),
    "word a line, quoted": _lines("> "),
    "word a line, commented": _lines("# "),
    "word a line, in a list": _lines("- "),
    "numbered words": (
        lambda t: " ".join(f"{i}:{word}" for i, word in enumerate(t.split(" "), 1)),
        lambda t: " ".join(word.partition(":")[2] for word in t.split(" ")),
    ),
    "tags around words": (
        lambda t: "".join(f"<w>{word}</w>" for word in t.split(" ")),
        lambda t: " ".join(re.findall(r"<w>(.*?)</w>", t, re.DOTALL)),
    ),
    "table row": (lambda t: f"| {t.replace(' ', ' | ')} |", lambda t: t[2:-2].replace(" | ", " ")),
    "code that prints": (lambda t: f"print({json.dumps(t)})", lambda t: json.loads(t[6:-1])),
}  # fmt: skip
"""For a whole text."""
