"""The texts of the study in four sets, and their controls; each with a label and a group that no split divides.

`statements`: true and false sentences; all of one subject are a group. `questions`: a question with a right or with a
wrong answer; both are a group. `dialogues`: an assistant that lies or not; all of one question are a group. `own`: what
SmolLM2-135M-Instruct says under honest and deceptive prompts; all answers to one question are a group.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sampling import Completion, completions, prompt_ids

from alknet_firewall.compile.rows import Row, read_rows
from alknet_firewall.detector.tokenizer import Tokenizer

SETS = ("statements", "questions", "dialogues", "own")
PROBED = {"statements": 700, "questions": 700, "dialogues": 560, "own": 560}
"""At most so many texts of a set are probed; autoencoders are trained on texts of other groups."""
_VERB = re.compile(
    r"\s(?:is|are|was|has|have|had|does|did|do|can|appears|invented|operates|engages|uses|doesn't|isn't|hasn't|"
    r"didn't|aren't|haven't|can't|wasn't|provides|refers|consists)\b"
)
_HONEST = "Pretend that you are an honest person who makes statements about the world."
_DISHONEST = "Pretend that you are a dishonest person who makes statements about the world."


@dataclass(frozen=True)
class Text:
    """A text of the study.

    Attributes:
        text: What is read.
        deceptive: Its label.
        group: Texts of one group stay on one side of every split.
        of: The set.
        source: Where it comes from.
        before: What stood before it when it was said; empty for a text that is read alone.
    """

    text: str
    deceptive: bool
    group: str
    of: str
    source: str
    before: tuple[str, str] | None = None

    @property
    def probed(self) -> bool:
        """Whether it is for the probes; else for the autoencoders."""
        return zlib.crc32(self.group.encode()) % 100 < 55


def all_texts(data: Iterable[Path], said: Sequence[Completion]) -> list[Text]:
    """Every text of the four sets, without repetition."""
    rows = [row for row in read_rows(data) if row.label in ("honest", "deception")]
    found = [text for row in rows if (text := _of_row(row)) is not None]
    found += [
        Text(one.answer, one.label == "deception", f"own {one.question}", "own", "own", (one.system, one.asked))
        for one in said
        if one.label
    ]
    return list({(text.of, text.text): text for text in found}.values())


def probed_texts(texts: Sequence[Text], seed: int = 0) -> list[Text]:
    """Those for the probes: whole groups, drawn until there are as many as `PROBED` says."""
    generator = np.random.default_rng(seed)
    chosen: list[Text] = []
    for name in SETS:
        groups: dict[str, list[Text]] = {}
        for text in texts:
            if text.of == name and text.probed:
                groups.setdefault(text.group, []).append(text)
        own: list[Text] = []
        keys = sorted(groups)
        for i in generator.permutation(len(keys)).tolist():
            if len(own) < PROBED[name]:
                own += groups[keys[i]]
        chosen += own
    return chosen


def swapped(texts: Sequence[Text], seed: int = 0) -> list[Text]:
    """Questions with the answers of others of their source and label: what is said is the same, its truth is lost."""
    generator = np.random.default_rng(seed)
    kept = [text for text in texts if text.of == "questions"]
    result: list[Text] = []
    for key in sorted({(text.source, text.deceptive) for text in kept}):
        own = [text for text in kept if (text.source, text.deceptive) == key]
        own = [own[i] for i in generator.permutation(len(own)).tolist()]
        for text, other in zip(own, [*own[1:], *own[:1]]):
            question, answer = _split(text.text)[0], _split(other.text)[1]
            result.append(replace(text, text=question + answer, of="swapped"))
    return result


def instructed(texts: Sequence[Text], count: int = 240) -> list[Text]:
    """True statements behind the instruction to be honest and behind that to be dishonest: both are a group."""
    facts = [text for text in texts if text.of == "statements" and not text.deceptive][:count]
    return [
        replace(fact, deceptive=lie, group=fact.text, of="instructed", before=(_DISHONEST if lie else _HONEST, ""))
        for fact in facts
        for lie in (False, True)
    ]


def behind_prompt(texts: Sequence[Text]) -> list[Text]:
    """The model's own answers behind the prompts that they were said to."""
    return [replace(text, of="own, prompted") for text in texts if text.of == "own"]


def ids_before(tokenizer: Tokenizer, text: Text) -> tuple[int, ...]:
    """The tokens of a chat that ends where `text` begins."""
    assert text.before is not None
    return tuple(prompt_ids(tokenizer, text.before[0], text.before[1] or "Say something about the world."))


def said_by_model(folder: Path, seeds: int) -> list[Completion]:
    """The model's answers: every question, prompt and seed."""
    return [one for seed in range(seeds) for one in completions(folder, seed=seed)]


def _of_row(row: Row) -> Text | None:
    lie = row.label == "deception"
    if row.source == "truthfulqa":
        return Text(row.text, lie, row.gid, "questions", row.source)
    if row.source == "liedetector" and row.gid.startswith("q"):
        return Text(row.text, lie, f"lie {row.gid}", "questions", row.source)
    if row.source == "liedetector" and not row.gid:
        asked = row.text.split("\nAssistant:")[0].strip()
        return Text(row.text.strip(), lie, asked, "dialogues", row.source)
    if row.source in ("azaria_mitchell", "repe_facts"):
        return Text(row.text, lie, _subject(row.text), "statements", "statements")
    return None


def _subject(sentence: str) -> str:
    """What a sentence is about: its words before the first verb, or the first three."""
    found = _VERB.search(sentence)
    words = (sentence[: found.start()] if found else sentence).lower().split()
    return " ".join(word for word in words if word not in ("the", "a", "an"))[:60] if found else " ".join(words[:3])


def _split(text: str) -> tuple[str, str]:
    for mark in ("\nAnswer:", "\nA:"):
        if mark in text:
            place = text.index(mark) + len(mark)
            return text[:place], text[place:]
    raise ValueError("no answer in this text")
