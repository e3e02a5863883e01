"""The rule by which a changed text still reads as the same instruction.

Every content word of the payload is there, in its order, as it was or as an entry of the synonym table; what was added
is no longer than `BUDGET`. A disguise must be undone without loss. This is a rule, not a reader: it lets pass what a
person would call clumsy, and it does not see that added words may bend the meaning.
"""

from __future__ import annotations

import re
from functools import cache

from banks import bank

BUDGET = 400
"""Characters that may be added to a text."""

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_FUNCTION = frozenset(
    """a an the of to in on at by for with from into onto and or but so as than then that this these those it its is are
    was were be been being am do does did has have had will would i you he she we they me him her us them my your his
    our their there here who whom which what when where how if please very any some such each every up out about over
    just also""".split()
)


@cache
def synonyms() -> dict[str, tuple[str, ...]]:
    """What may stand for a word, by the word in lower case."""
    found: dict[str, tuple[str, ...]] = {}
    for line in bank("synonyms")["words"]:
        head, *others = line.split()
        found[head] = tuple(dict.fromkeys((*found.get(head, ()), *others)))
    return found


def content_words(text: str) -> list[str]:
    """The words that carry the instruction, in lower case."""
    return [word for word in map(str.lower, WORD.findall(text)) if word not in _FUNCTION]


def reads_the_same(payload: str, changed: str) -> bool:
    """Whether all content words of `payload` are in `changed`, in order, each itself or an entry of the table."""
    there = iter(word.lower() for word in WORD.findall(changed))
    for wanted in content_words(payload):
        allowed = {wanted, *synonyms().get(wanted, ())}
        if not any(word in allowed for word in there):
            return False
    return True
