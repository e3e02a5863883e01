"""Disguises: of the whole payload, of its second half, of its longest words; then of words, each in one of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice

from disguises import OF_TEXTS, OF_WORDS, written
from drafts import Draft
from moves import chance_of
from sameness import WORD
from starts import Start
from targets import Answer

_ABREAST, _STEPS = 6, 160
_SHORTEST = 4  # letters of a word that is worth a disguise


def disguise(start: Start) -> Generator[list[Draft], list[Answer], None]:
    """What is in disguise is undone without loss; nothing tells the reader how."""
    chance = chance_of(start, "disguise")
    drafts = [Draft(start, spelled=one) for one in _whole(start.payload)]
    chance.shuffle(drafts)
    waiting = iter(drafts)
    while some := list(islice(waiting, _ABREAST)):
        yield some
    places = [i for i, word in enumerate(WORD.findall(start.payload)) if len(word) >= _SHORTEST]
    names, kept, least = sorted(OF_WORDS), dict[int, str](), float("inf")
    for _ in range(_STEPS if places else 0):
        tried = []
        for _ in range(_ABREAST):
            one = dict(kept)
            for place in chance.sample(places, min(2, len(places))):
                one[place] = chance.choice(names)
            tried.append(one)
        answers = yield [Draft(start, spelled=_spelled(start.payload, one)) for one in tried]
        best = min(range(len(tried)), key=lambda i: answers[i].score)
        if answers[best].score <= least:
            kept, least = tried[best], answers[best].score


def _whole(payload: str) -> Iterator[str]:
    """The payload in every disguise, from its start or its middle on, and its longest words in one."""
    words = list(WORD.finditer(payload))
    middle = words[len(words) // 2].start() if words else 0
    longest = sorted(range(len(words)), key=lambda i: -len(words[i].group()))[: max(1, len(words) // 3)]
    for name, one in OF_TEXTS.items():
        for at in {0, middle}:
            spelled = written(one, payload[at:])
            if spelled is not None:
                yield payload[:at] + spelled
        if name in OF_WORDS:
            yield _spelled(payload, dict.fromkeys(longest, name))


def _spelled(payload: str, by_place: dict[int, str]) -> str:
    """The payload with words in the disguises named; a word that would lose something stands as it is."""
    parts, last = [], 0
    for place, found in enumerate(WORD.finditer(payload)):
        parts.append(payload[last : found.start()])
        spelled = written(OF_WORDS[by_place[place]], found.group()) if place in by_place else None
        parts.append(found.group() if spelled is None else spelled)
        last = found.end()
    return "".join([*parts, payload[last:]])
