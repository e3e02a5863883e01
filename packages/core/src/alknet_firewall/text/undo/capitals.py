"""Text that is all capitals: the same words, but other tokens, and to a detector hardly as harmless.

Only where next to nothing else is written: a shouted sentence among others says something.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import prose

_WORD = r"[^\W_]+(?:['\u2019][^\W_]+)*"
_SHOUTED = re.compile(rf"(?<!\w){_WORD}(?:[^\w\n]{{0,3}}[^\w]{_WORD}){{4,}}(?!\w)")  # five words and more
_FEWEST_LETTERS = 20
_TIMES_AS_MANY = 9  # capitals to one small letter
_LOWER, _UPPER = string.ascii_lowercase.encode(), string.ascii_uppercase.encode()
_SENTENCE = re.compile(r"(?:^|[.!?]\s+|\n)([^\W\d_])")


def find_capitals(reading: Reading) -> Iterator[Finding]:
    """Finds prose in a text that is all capitals."""
    capitals, small = _letters(reading.text)
    if capitals < max(_FEWEST_LETTERS, _TIMES_AS_MANY * small):
        return
    edits = []
    for shouted in _SHOUTED.finditer(reading.text):
        spoken = _in_lower_case(shouted.group())
        if sum(map(str.islower, spoken)) >= _FEWEST_LETTERS and prose(spoken):
            edits.append(Edit(shouted.start(), shouted.end(), spoken, tuple(range(shouted.start(), shouted.end()))))
    yield Finding("capitals", edits)


def _letters(text: str) -> tuple[int, int]:
    """How many are capitals, and how many small."""
    if not text.isascii():
        return sum(map(str.isupper, text)), sum(map(str.islower, text))
    plain = text.encode("ascii")
    capitals, small = (len(plain) - len(plain.translate(None, letters)) for letters in (_UPPER, _LOWER))
    return capitals, small


def _in_lower_case(text: str) -> str:
    """Lower case but for the first letters of sentences; as many characters."""
    lower = "".join(sign.lower()[0] for sign in text)  # of a dotted I, without its second dot
    return _SENTENCE.sub(lambda begin: begin.group()[:-1] + begin.group(1).upper()[0], lower)
