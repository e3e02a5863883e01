"""Text that is all capitals: the same words, but other tokens, and to a detector another manner of speaking.

Only where next to nothing else is written: a shouted sentence among others says something.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from alknet_firewall.text.undo.edits import Edit, Finding
from alknet_firewall.text.undo.reading import Reading
from alknet_firewall.text.undo.words import prose

_CAPITALS = "A-Z\u00c0-\u00d6\u00d8-\u00de"
_WORD = rf"[{_CAPITALS}\d][{_CAPITALS}\d'\u2019]*"
_SHOUTED = re.compile(rf"(?<!\w){_WORD}(?:[^\w\n]{{0,3}}[^\w]{_WORD}){{4,}}(?!\w)")  # five words and more
_FEWEST_LETTERS = 20
_TIMES_AS_MANY = 9  # capitals to one small letter
_LOWER, _UPPER = string.ascii_lowercase.encode(), string.ascii_uppercase.encode()
_SENTENCE = re.compile(r"(?:^|[.!?]\s+|\n)([^\W\d_])")


def find_capitals(reading: Reading) -> Iterator[Finding]:
    """Finds prose in capitals in a text that is all capitals."""
    plain = reading.text.encode("ascii", "ignore")
    capitals = len(plain) - len(plain.translate(None, _UPPER))
    if capitals < max(_FEWEST_LETTERS, _TIMES_AS_MANY * (len(plain) - len(plain.translate(None, _LOWER)))):
        return
    edits = []
    for shouted in _SHOUTED.finditer(reading.text):
        spoken = _in_lower_case(shouted.group())
        if sum(map(str.isalpha, spoken)) >= _FEWEST_LETTERS and prose(spoken):
            edits.append(Edit(shouted.start(), shouted.end(), spoken, tuple(range(shouted.start(), shouted.end()))))
    yield Finding("capitals", edits)


def _in_lower_case(text: str) -> str:
    """Lower case but for the first letters of sentences; as many characters."""
    lower = "".join(sign.lower() if len(sign.lower()) == 1 else sign for sign in text)
    return _SENTENCE.sub(lambda begin: begin.group()[:-1] + begin.group(1).upper(), lower)
