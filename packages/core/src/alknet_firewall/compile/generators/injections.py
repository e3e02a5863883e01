"""Injections into documents and tool results, each with a harmless partner in the same surroundings.

A row is a goal (what the attacker wants) in a voice (how it is said) in a frame (where it stands). The
partner has the frame of its attack and an instruction to a human, a note, or nothing in its hole.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alknet_firewall.compile.generators.base import Pool
from alknet_firewall.compile.generators.carrier_formats import draw_frame
from alknet_firewall.compile.generators.carriers import Frame, Maker
from alknet_firewall.compile.generators.injection_text import (
    Payload,
    draw_attack,
    draw_note,
    draw_world_prose,
)
from alknet_firewall.compile.rows import Row

_BARE = 0.2  # share of attacks, and of partners, that come without surroundings
_TRIES = 200  # draws for a text not seen before; a bank that small is a fault worth hearing of


def generate(pool: Pool, rng: np.random.Generator, count: int) -> Iterator[Row]:
    """Yields `count` rows, attacks and their harmless partners in turn.

    Args:
        pool: Benign rows of channels `document` and `tool`; where it has none, surroundings are made up.
        rng: Source of all randomness: the same state yields the same rows.
        count: How many rows, >= 0.

    Raises:
        RuntimeError: The banks cannot yield that many different texts.
    """
    maker, seen = Maker(pool, rng), set[int]()
    frame, attack = _attack(maker)
    for index in range(count):
        for _ in range(_TRIES):
            if index % 2 == 0:
                frame, attack = _attack(maker)
                row = _row(maker, frame, attack, "injection")
            else:
                row = _row(maker, frame, _partner(maker, frame, attack), "benign")
            if row.text.strip() and hash(row.text) not in seen:
                break
        else:
            raise RuntimeError(f"no new text in {_TRIES} draws after {index} rows")
        seen.add(hash(row.text))
        yield row


def _attack(maker: Maker) -> tuple[Frame, Payload]:
    if maker.chance(_BARE):
        frame = Frame("bare", maker.pick(("document", "tool")), "start", False, str.strip)
    else:
        frame = draw_frame(maker)
    attack = draw_attack(maker, frame.format)
    if attack.lang != "en" and frame.format != "bare" and maker.chance(0.6):
        frame = draw_world_prose(maker, attack.lang)
    return frame, attack


def _partner(maker: Maker, frame: Frame, attack: Payload) -> Payload:
    if frame.may_be_empty and maker.chance(0.2):
        return Payload("", "benign_empty", attack.gid, attack.lang)
    # As long as the attack, more or less: else length alone would tell the two apart.
    return draw_note(maker, attack.lang, words=len(attack.text.split()))


def _row(maker: Maker, frame: Frame, payload: Payload, label: str) -> Row:
    attacking = label == "injection"
    return Row(
        text=frame.render(payload.text),
        label=label,
        source=f"gen_injections_{payload.kind}",
        channel=frame.channel,
        gid=f"gen_injections:{payload.gid}",
        payload=payload.text if attacking else "",
        position=frame.position if attacking else "",
        lang=payload.lang,
    )
