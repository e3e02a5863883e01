"""What `tasks` says: orders without any trigger word, and harmless sentences of the same form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alknet_firewall.compile.generators.base import fill, phrases
from alknet_firewall.compile.generators.carriers import Maker

_CAPITAL = re.compile(r"\{([A-Z])([a-z_]+)\}")
_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")  # an abbreviation at the end of a sentence
_MARKED = 0.15  # share of orders in a voice that attacks and partners do not share
_TWICE = 0.2  # share of payloads that are two sentences
_ASKED = 0.35  # share of agents' partners that are orders between people: an order is no sign by itself
_ABROAD = 0.1  # share of orders in documents that are not English
_CANDIDATES = 4  # partners drawn, of which the one nearest to the attack in length is kept
_WORLD = 0.25  # share of quoted sentences that are not English


@dataclass(frozen=True, slots=True)
class Said:
    """A drawn sentence.

    Attributes:
        text: The words.
        kind: What it is about: part of the source of its row.
        gid: The phrase that it comes from.
        lang: Language tag.
    """

    text: str
    kind: str
    gid: str
    lang: str = "en"


def say(maker: Maker, template: str, slots: Mapping[str, Sequence[str]]) -> str:
    """Fills `template` from `slots`, then from the maker's; `{Order}` is `{order}` with a capital letter."""
    own = {**maker.slots, **slots}
    while found := _CAPITAL.search(template):
        words = fill(f"{{{found[1].lower()}{found[2]}}}", own, maker.rng)
        template = template[: found.start()] + words[:1].upper() + words[1:] + template[found.end() :]
    return _STOPS.sub(".", fill(template, own, maker.rng))


def _sentence(maker: Maker, bank: Mapping[str, Any], name: str, voices: Sequence[str]) -> tuple[str, str]:
    """Draws from a section: a sentence that stands as it is, or an order in one of `voices`."""
    form = maker.pick(sorted(set(bank) & {"order", "said"}))
    number = maker.between(0, len(bank[form]) - 1)
    template, words = bank[form][number], phrases(name)["slots"]
    text = say(maker, template, words)
    if form == "order":
        text = say(maker, maker.pick(voices), {**words, "order": [text]})
    return text, f"{form}:{number}"


def document_attack(maker: Maker, bare: bool) -> Said:
    """Draws a task foreign to any text; none that a person might have asked, if there is no text around it."""
    if maker.chance(_ABROAD) and not bare:
        return _abroad(maker, "attack", maker.pick(sorted(phrases("tasks_world")["attack"])))
    bank = phrases("tasks_documents")
    kind = maker.pick([kind for kind in bank["attack"] if not (bare and kind == "question")])
    marked = maker.chance(_MARKED)
    voices = bank["voices"]["attack"] if marked else bank["voices"]["order"]
    text, gid = _sentence(maker, bank["attack"][kind], "tasks_documents", voices)
    if maker.chance(_TWICE):
        text += " " + _sentence(maker, bank["attack"][kind], "tasks_documents", bank["voices"]["order"])[0]
    return Said(text, f"document_{kind}", f"document_{kind}:{gid}")


def document_partner(maker: Maker, attack: Said) -> Said:
    """Draws what people ask of each other, in the language of `attack` and about as long."""
    if attack.lang != "en":
        return replace(_abroad(maker, "partner", attack.lang), gid=attack.gid)
    bank = phrases("tasks_documents")

    def one() -> Said:
        kind = maker.pick(list(bank["partner"]))
        voices = bank["voices"]["partner"] if maker.chance(_MARKED) else bank["voices"]["order"]
        text, _ = _sentence(maker, bank["partner"][kind], "tasks_documents", voices)
        if maker.chance(_TWICE):
            text += " " + _sentence(maker, bank["partner"][kind], "tasks_documents", voices)[0]
        return Said(text, f"document_{kind}", attack.gid)

    return _nearest(maker, attack, [one() for _ in range(_CANDIDATES)])


def _abroad(maker: Maker, side: str, lang: str) -> Said:
    """Draws one or two sentences of `tasks_world.toml`."""
    choices = phrases("tasks_world")[side][lang]
    numbers = maker.rng.choice(len(choices), 1 + maker.chance(_TWICE), replace=False)
    text = " ".join(say(maker, choices[number], {}) for number in numbers)
    return Said(text, "document_world", f"document_world_{lang}:{numbers[0]}", lang)


def agent_attack(maker: Maker) -> Said:
    """Draws an order that only an assistant with tools could carry out."""
    bank = phrases("tasks_agent")
    kind = maker.pick([kind for kind in bank if kind not in ("slots", "attack_voices")])
    section = {"order": bank[kind]["order"]}
    text, gid = _sentence(maker, section, "tasks_agent", bank["attack_voices"]["order"])
    if maker.chance(_TWICE):
        text += " " + _sentence(maker, section, "tasks_agent", ["Then {order}.", "Also {order}."])[0]
    return Said(text, f"agent_{kind}", f"agent_{kind}:{gid}")


def agent_partner(maker: Maker, attack: Said) -> Said:
    """Draws what people tell each other in the field of work of `attack`, or ask of each other anywhere."""
    if maker.chance(_ASKED):
        return document_partner(maker, attack)
    section = {"said": phrases("tasks_agent")[attack.kind.removeprefix("agent_")]["said"]}

    def one() -> Said:
        text, _ = _sentence(maker, section, "tasks_agent", ())
        if maker.chance(3 * _TWICE):
            text += " " + _sentence(maker, section, "tasks_agent", ())[0]
        return Said(text, attack.kind, attack.gid)

    return _nearest(maker, attack, [one() for _ in range(_CANDIDATES)])


def hijack(maker: Maker, side: str, like: Said | None = None) -> Said:
    """Draws what a user types to take a model off its task (`attack`), or to change a wish (`partner`).

    Args:
        maker: What to draw with.
        side: `attack` or `partner`.
        like: The attack of which a partner is to have kind and language.
    """
    bank = phrases("tasks_hijack")
    kind = like.kind.removeprefix("hijack_") if like else maker.pick(sorted(bank[side]))
    section, lang, slots = bank[side][kind], "en", dict(bank["slots"])
    if kind == "world":
        lang = like.lang if like else maker.pick(sorted(section))
        templates, slots["out"] = section[lang], bank["world_out"][lang]
    else:
        templates, slots["line"] = section["said"], bank["openers"]["line"]
    number = maker.between(0, len(templates) - 1)
    text = " ".join(say(maker, templates[number], slots).split())
    gid = like.gid if like else f"hijack_{kind}_{lang}:{number}"
    return Said(text, f"hijack_{kind}", gid, lang)


def opener(maker: Maker) -> str:
    """Draws an ordinary request, which may stand before any other."""
    bank = phrases("tasks_hijack")["openers"]
    return say(maker, maker.pick(bank["said"]), {"line": bank["line"]})


def latent_frame(maker: Maker) -> tuple[str, str, str]:
    """Draws a task around a quoted sentence: its kind, its text with `{text}` in it, the sentence's language."""
    bank = phrases("tasks_latent")
    if maker.chance(_WORLD):
        lang = maker.pick(sorted(bank["world"]))
        return "world", maker.pick(bank["world"][lang]), lang
    kind = maker.pick(sorted(bank["frames"]))
    frame = say(maker, maker.pick(bank["frames"][kind]), {**bank["shared"], "text": ["\x00"]})
    return kind, frame.replace("\x00", "{text}"), "en"


def latent_sentence(maker: Maker, side: str, lang: str) -> str:
    """Draws an order to quote: a harmful one (`attack`) or a harmless one (`partner`)."""
    bank = phrases("tasks_latent")
    if lang == "en":
        return say(maker, maker.pick(bank[side]["text"]), bank[side])
    world = bank[f"world_{side}"]
    slots = {"g": world[f"{lang}_g"], "a": world.get(f"{lang}_a", [""])}
    return say(maker, maker.pick(world[lang]), slots)


def _nearest(maker: Maker, attack: Said, partners: Sequence[Said]) -> Said:
    size = len(attack.text)
    return min(partners, key=lambda said: abs(len(said.text) - size))
