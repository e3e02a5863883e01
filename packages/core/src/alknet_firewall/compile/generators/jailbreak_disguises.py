"""Forms a sentence can be given: encodings to be decoded, split payloads, look-alike letters, ordinary typos.

Attacks and their harmless partners pass through the same functions, so that the form alone says nothing.
"""

from __future__ import annotations

import base64
import codecs
import urllib.parse
from collections.abc import Callable
from typing import Final

import numpy as np

Form = Callable[[str, np.random.Generator], str]

_LEET: Final = str.maketrans("aeiost", "431057")
_LOOKALIKE: Final = str.maketrans("aceopxyiABEHKMOPCTX", "асеорхуіАВЕНКМОРСТХ")
_FULLWIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_UPSIDE: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")
_MORSE: Final = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz0123456789",
        (
            ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- "
            "-..- -.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
        ).split(" "),
        strict=True,
    )
)


def _each_word(change: Callable[[str], str]) -> Form:
    return lambda text, rng: " ".join(change(word) for word in text.split())


def _cut(part: int, parts: int) -> Form:
    """Piece `part` of the text's words cut into `parts` about equal pieces."""

    def form(text: str, rng: np.random.Generator) -> str:
        words = text.split()
        return " ".join(words[len(words) * part // parts : len(words) * (part + 1) // parts])

    return form


def _caesar(text: str, rng: np.random.Generator) -> str:
    """Three letters on, as the templates that use it say."""
    return "".join(
        chr((ord(c) - base + 3) % 26 + base)
        if c.isascii() and c.isalpha() and (base := 97 if c.islower() else 65)
        else c
        for c in text
    )


def _pig_latin(word: str) -> str:
    stem = word.rstrip(".,!?;:")
    return (stem + "way" if stem[:1].lower() in "aeiou" else stem[1:] + stem[:1] + "ay") + word[len(stem) :]


def typos(text: str, rng: np.random.Generator) -> str:
    """Swaps, drops or doubles a letter in about one word of six; letters only, so that numbers stay."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and rng.random() < 0.17:
            at = int(rng.integers(1, len(word) - 1))
            middle = ("", word[at] * 2, word[at + 1] + word[at])[(kind := int(rng.integers(3)))]
            words[i] = word[:at] + middle + word[at + (2 if kind == 2 else 1) :]
    return " ".join(words)


def _scattered(text: str, rng: np.random.Generator) -> str:
    """Look-alike letters from another alphabet in about half of the words."""
    return " ".join(word.translate(_LOOKALIKE) if rng.random() < 0.5 else word for word in text.split(" "))


FORMS: Final[dict[str, Form]] = {
    "plain": lambda text, rng: text,
    "lower": lambda text, rng: text[:1].lower() + text[1:].rstrip("."),
    "upper": lambda text, rng: text.upper(),
    "base": lambda text, rng: base64.b64encode(text.encode()).decode(),
    "hex": lambda text, rng: text.encode().hex(),
    "binary": lambda text, rng: " ".join(f"{byte:08b}" for byte in text.encode()[:60]),
    "decimal": lambda text, rng: " ".join(str(byte) for byte in text.encode()[:120]),
    "url": lambda text, rng: "".join(f"%{byte:02X}" for byte in text.encode()[:140]),
    "percent": lambda text, rng: urllib.parse.quote(text),
    "rot": lambda text, rng: codecs.encode(text, "rot13"),
    "caesar": _caesar,
    "morse": lambda text, rng: " ".join(_MORSE.get(c, "/" if c == " " else "") for c in text.lower()).strip(),
    "reversed": lambda text, rng: text[::-1],
    "backwards": lambda text, rng: " ".join(reversed(text.split())),
    "pig": _each_word(_pig_latin),
    "leet": lambda text, rng: text.lower().translate(_LEET),
    "spaced": lambda text, rng: "  ".join(" ".join(word) for word in text.split()),
    "dashed": _each_word("-".join),
    "dotted": _each_word(".".join),
    "hidden": _each_word("\u200b".join),
    "lookalike": _scattered,
    "fullwidth": lambda text, rng: text.translate(_FULLWIDTH),
    "upside": lambda text, rng: text.lower().translate(_UPSIDE),
    "waves": lambda text, rng: "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(text)),
    "typos": typos,
    "joined": lambda text, rng: "_".join(text.rstrip(".?!").split()),
    "camel": lambda text, rng: "".join(word.strip(".,?!'\"").capitalize() for word in text.split()),
    "vowelless": _each_word(lambda word: word[:1] + "".join(c for c in word[1:] if c.lower() not in "aeiou")),
    "initials": lambda text, rng: "\n".join(f"{word[:1].upper()} - {word}" for word in text.split()[:25]),
    "first_half": _cut(0, 2),
    "second_half": _cut(1, 2),
    "first_third": _cut(0, 3),
    "second_third": _cut(1, 3),
    "last_third": _cut(2, 3),
}
