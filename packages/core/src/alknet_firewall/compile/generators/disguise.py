"""Ways to write words so that a filter does not know them: encodings, spacing, look-alike letters."""

from __future__ import annotations

import base64
import codecs
from urllib.parse import quote

import numpy as np

_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_LOOKALIKE = str.maketrans("aeopcxyiAEOPCXHKMT", "аеорсхуіАЕОРСХНКМТ")  # noqa: RUF001 - Cyrillic on purpose


def disguises(words: str, rng: np.random.Generator) -> dict[str, str]:
    """Writes `words` in every disguise, by the name of the disguise."""
    half = int(rng.integers(1, max(2, len(words))))
    spaced = (
        " ".join(words.replace(" ", "_")) if rng.random() < 0.5 else "  ".join(map(" ".join, words.split()))
    )
    return {
        "coded": base64.b64encode(words.encode()).decode(),
        "hex": words.encode().hex(),
        "rot": codecs.encode(words, "rot13"),
        "spaced": spaced,
        "reversed": words[::-1],
        "leet": words.translate(_LEET),
        "percent": quote(words, safe=""),
        "upper": words.upper(),
        "hidden": "".join(c + ("\u200b" if rng.random() < 0.3 else "") for c in words),
        "homoglyph": "".join(c.translate(_LOOKALIKE) if rng.random() < 0.5 else c for c in words),
        "split": f'"{words[:half]}" + "{words[half:]}"',
    }
