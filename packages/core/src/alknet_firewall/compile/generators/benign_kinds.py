"""Kinds of benign text: read from the phrase banks, sampled one text at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alknet_firewall.compile.generators.base import fill, phrases
from alknet_firewall.compile.generators.benign_slots import with_repeats
from alknet_firewall.compile.rows import Row

_TRIES = 30
_WIDE_LETTERS_A_WORD = 2  # scripts without spaces: about two letters make a word
_CHARACTERS_A_WORD = 12  # blobs and minified code: few spaces, much text


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of benign text.

    Attributes:
        name: What the kind is called; part of the source of its rows.
        label: `benign`, or `hard_negative` where the text resembles an attack.
        channels: The channels that it stands in, drawn evenly.
        templates: Pairs of language tag and template.
        slots: What the templates draw from.
        fixed: Slots drawn once a text, so that a name stays the same throughout.
        slots_of: Slots by language, over `slots`.
    """

    name: str
    label: str
    channels: tuple[str, ...]
    templates: tuple[tuple[str, str], ...]
    slots: Mapping[str, Sequence[str]]
    fixed: tuple[str, ...] = ()
    slots_of: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def sample(self, source: str, rng: np.random.Generator) -> Row:
        """Draws one row; `source` is put before the kind's name."""
        number = int(rng.integers(len(self.templates)))
        lang, template = self.templates[number]
        slots = {**self.slots, **self.slots_of.get(lang, {})}
        slots |= {name: [fill("{" + name + "}", slots, rng)] for name in self.fixed}
        text = fill(template, slots, rng).strip()
        channel = self.channels[int(rng.integers(len(self.channels)))]
        gid = f"{source}:{self.name}:{number}"
        return Row(text, self.label, f"{source}_{self.name}", channel, gid=gid, lang=lang)


def bank(
    name: str,
    *,
    channel: str,
    label: str = "benign",
    prefix: str = "",
    extra: Mapping[str, Any] | None = None,
) -> list[Kind]:
    """Reads the kinds of `phrases/<name>.toml`.

    A section is a kind: `t` templates, `l` label, `c` channels, `fix` slots drawn once, `slots` and `repeat`
    of its own. The section `slots` holds slots for the whole file.

    Args:
        name: The phrase bank.
        channel: The channel of kinds that name none.
        label: The label of kinds that name none.
        prefix: Put before each kind's name.
        extra: A bank of `words` and `repeats` that the kinds may use too.
    """
    extra = extra or {}
    sections = phrases(name)
    words = {**extra.get("words", {}), **sections.get("slots", {})}
    return [
        Kind(
            name=prefix + title,
            label=section.get("l", label),
            channels=tuple(section.get("c", [channel])),
            templates=tuple(("en", template) for template in section["t"]),
            slots=with_repeats(
                {**words, **section.get("slots", {})},
                {**extra.get("repeats", {}), **section.get("repeat", {})},
            ),
            fixed=tuple(section.get("fix", [])),
        )
        for title, section in sections.items()
        if title != "slots"
    ]


FAMILIES = {
    "germanic": ("de", "nl", "sv", "fi"),
    "romance": ("fr", "es", "it", "pt", "ro"),
    "slavic": ("pl", "cs", "ru", "uk"),
    "near_east": ("tr", "ar", "fa", "he", "el", "hu"),
    "south": ("hi", "bn", "vi", "id", "th", "sw"),
    "far_east": ("zh", "ja", "ko"),
    "english": ("en",),
}  # languages that share a source: alike in family or region


def words_in(text: str) -> int:
    """Roughly how many words `text` has, in scripts without spaces and in blobs too."""
    wide = sum(ord(letter) >= 0x0E00 and letter.isalpha() for letter in text)
    return max(len(text.split()), wide // _WIDE_LETTERS_A_WORD, len(text) // _CHARACTERS_A_WORD)


def draw(
    kinds: Sequence[Kind],
    source: str,
    count: int,
    rng: np.random.Generator,
    finish: Callable[[Row], Row],
    limits: Mapping[str, tuple[int, int]],
) -> Iterator[Row]:
    """Yields `count` different rows, from each kind as often as from the others.

    A kind that finds nothing new in a number of tries has run dry and is left out from then on.

    Args:
        kinds: What to draw from.
        source: Put before each kind's name.
        count: How many rows.
        rng: The source of chance.
        finish: The last touch on a drawn row.
        limits: The fewest and the most words of a row, by channel.

    Raises:
        ValueError: All kinds ran dry before there were `count` rows.
    """
    seen: set[int] = set()
    left = list(kinds)
    made = 0
    while made < count:
        if not left:
            raise ValueError(f"{source}: only {made} different rows, {count} wanted")
        for place in rng.permutation(len(left)).tolist():
            if made == count:
                return
            row = _new_row(left[place], source, rng, finish, limits, seen)
            if row is None:
                left = [kind for kind in left if kind is not left[place]]
                break
            made += 1
            yield row


def _new_row(
    kind: Kind,
    source: str,
    rng: np.random.Generator,
    finish: Callable[[Row], Row],
    limits: Mapping[str, tuple[int, int]],
    seen: set[int],
) -> Row | None:
    for _ in range(_TRIES):
        row = finish(kind.sample(source, rng))
        fewest, most = limits[row.channel]
        key = hash(row.text)
        if key not in seen and fewest <= words_in(row.text) <= most:
            seen.add(key)
            return row
    return None
