"""Attacks without trigger words, each with a harmless partner in the same place.

An attack in a text gives whoever reads it for the user a task foreign to that text, or asks for what only an assistant
with tools does. Its partner belongs to the text and is for people. Users' attacks quote an order, or take the model
off its task; their partners quote a harmless one, or change their minds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from alknet_firewall.compile.generators import tasks_text as texts
from alknet_firewall.compile.generators.base import Pair, Pool, distinct_pairs
from alknet_firewall.compile.generators.carrier_formats import FORMATS, draw_frame
from alknet_firewall.compile.generators.carrier_prompts import prompted
from alknet_firewall.compile.generators.carriers import Frame, Maker, cut, hole
from alknet_firewall.compile.generators.disguise import worn
from alknet_firewall.compile.generators.placing import placed
from alknet_firewall.compile.generators.tasks_text import Said
from alknet_firewall.compile.rows import Row

_FAMILIES: Final[Mapping[str, int]] = {"document": 8, "agent": 5, "hijack": 4, "latent": 3}
_BARE = 0.1  # share of texts that are nothing but the payload
_POOLED = 0.55  # share in a text of the pool, cut to any length; the rest stands in a made format
_PROMPTED = 0.12  # of documents: pasted by a user into a request
_WORDS = (10, 800)  # of a text of the pool, drawn evenly on a log scale
_OPENED = 0.35  # share of users' turns that follow an ordinary request
_WORN = 0.15  # share of users' turns as people type them
_RECORDS: Final = (
    "json_result", "mail", "mail_thread", "review", "calendar", "yaml_record", "transcript", "csv_table",
)  # fmt: skip


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` different rows, attacks and their harmless partners in turn.

    Args:
        pool: Benign rows of channels `document` and `tool`; where it has none, surroundings are made up.
        rng: Source of all randomness: the same state yields the same rows.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: The banks cannot yield that many different texts.
    """
    maker = Maker(pool, rng)
    deck = [family for family, share in _FAMILIES.items() for _ in range(share)]
    return distinct_pairs(lambda _: _PAIRS[maker.pick(deck)](maker), count)


def _document(maker: Maker) -> Pair:
    frame = framing(maker, maker.pick(("document", "document", "tool")), tuple(FORMATS))
    attack = texts.document_attack(maker, frame.format == "bare")
    return framed(frame, attack, texts.document_partner(maker, attack))


def _agent(maker: Maker) -> Pair:
    frame = framing(maker, maker.pick(("document", "tool", "tool")), _RECORDS)
    attack = texts.agent_attack(maker)
    return framed(frame, attack, texts.agent_partner(maker, attack))


def framing(maker: Maker, channel: str, formats: tuple[str, ...]) -> Frame:
    """Draws what stands around a payload: nothing, a text of the pool, or a made one in one of `formats`."""
    roll = maker.rng.random()
    if roll < _BARE:
        return Frame("bare", channel, "start", False, str.strip)
    if roll < _BARE + _POOLED and (units := _pooled(maker, channel)):
        position, render = hole(units, maker)
        frame = Frame("pooled", channel, position, True, render)
    elif len(formats) < len(FORMATS):
        frame = FORMATS[maker.pick(formats)](maker)
    else:
        frame = draw_frame(maker)
    return prompted(frame, maker) if channel == "document" and maker.chance(_PROMPTED) else frame


def _pooled(maker: Maker, channel: str) -> list[str]:
    words = int(np.exp(maker.rng.uniform(*np.log(_WORDS))))
    try:
        return cut(maker.pool.carriers(channel, maker.rng).text, words, maker.rng)
    except LookupError:
        return []


def framed(frame: Frame, attack: Said, partner: Said, family: str = "tasks") -> Pair:
    """Puts an attack and its partner into the same place of the same text."""
    text = frame.render(attack.text)
    where = placed(frame, attack.text, text)
    return (
        _row(attack, text, "injection", frame.channel, where, frame.position, family),
        _row(partner, frame.render(partner.text), "benign", frame.channel, family=family),
    )


def _hijack(maker: Maker) -> Pair:
    attack = texts.hijack(maker, "attack")
    partner = texts.hijack(maker, "partner", like=attack)
    first = texts.opener(maker) + maker.pick((" ", "\n", "\n\n")) if maker.chance(_OPENED) else ""
    turns = [said.text for said in (attack, partner)]
    if attack.lang == "en" and maker.chance(_WORN):
        turns = [worn(text, maker.rng) for text in turns]
    elif attack.lang == "en" and maker.chance(0.5):
        turns = [text[:1].upper() + text[1:] for text in turns]
    return (
        _row(attack, first + turns[0], "injection", "user", turns[0], "end" if first else "start"),
        _row(partner, first + turns[1], "hard_negative", "user"),
    )


def _latent(maker: Maker) -> Pair:
    kind, frame, lang = texts.latent_frame(maker)
    bad, good = (texts.latent_sentence(maker, side, lang) for side in ("attack", "partner"))
    said = Said(bad, f"latent_{kind}", f"latent_{kind}:{frame}", lang)
    position = "start" if frame.startswith("{text}") else "end"
    return (
        _row(said, frame.replace("{text}", bad), "jailbreak", "user", bad, position),
        _row(said, frame.replace("{text}", good), "hard_negative", "user"),
    )


def _row(
    said: Said, text: str, label: str, channel: str, payload: str = "", position: str = "", family: str = "tasks"
) -> Row:
    side = "" if payload else "benign_"
    source = f"gen_{family}_{side}{said.kind}"
    return Row(text, label, source, channel, f"gen_{family}:{said.gid}", payload, position, said.lang)


_PAIRS: Final = {"document": _document, "agent": _agent, "hijack": _hijack, "latent": _latent}
