"""The last words of a conversation: what was said before on a channel, put in front of what is said now.

Only turns that are notable are kept: an attack that is split over several messages leaves a trace in each of them, and
what was said harmlessly in between would only thin it out.
"""

from __future__ import annotations

from alknet_firewall.detector.tokenizer import Tokenizer
from alknet_firewall.text.normalise import normalise

NOTABLE_RATE = 0.3
"""A turn is notable if no more than this share of benign texts looks as much like an attack."""

MAX_CHARS = 2048
"""Characters that are kept of a channel, at most."""

_SPARE = 4  # tokens of a window that are left free: words may be cut into other tokens where they meet
_SEARCHED = 1 << 14  # characters at an end of a text, of which the ending or beginning is taken


class LastWords:
    """Of each channel, the last words of its notable turns.

    Attributes:
        words: By channel, normalised; at most `MAX_CHARS` characters, and no more tokens than a window has.
    """

    def __init__(self, words: dict[str, str] | None = None) -> None:
        """Takes what was kept earlier."""
        self.words: dict[str, str] = dict(words or {})

    def joined(self, text: str, channel: str, tokenizer: Tokenizer, size: int) -> str | None:
        """What is to be read besides a notable turn; None if nothing was said before.

        Args:
            text: The turn.
            channel: Its channel.
            tokenizer: The detector's.
            size: Tokens of a window, which is as long as it gets.
        """
        before = self.words.get(channel)
        return None if before is None else join(before, text, tokenizer, size)

    def add(self, text: str, channel: str, tokenizer: Tokenizer, size: int) -> None:
        """Keeps the end of a notable turn."""
        end = ending(text, tokenizer, size - _SPARE)
        before = self.words.get(channel)
        kept = end if before is None else ending(f"{before} {end}", tokenizer, size - _SPARE)
        if kept:
            self.words[channel] = kept[-MAX_CHARS:]


def join(before: str, text: str, tokenizer: Tokenizer, size: int) -> str:
    """Half a window of the end of one text and of the beginning of another; what one does not need, the other has."""
    room = size - _SPARE
    begin = beginning(text, tokenizer, room)
    end = ending(before, tokenizer, room - min(_count(begin, tokenizer), room // 2))
    return f"{end} {beginning(begin, tokenizer, max(1, room - _count(end, tokenizer)))}"


def ending(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """The last words of a text, normalised: at most so many tokens, cut in front of a word where there is one."""
    plain = normalise(text[-_SEARCHED:]).text
    offsets = tokenizer.encode(plain).offsets
    if len(offsets) <= tokens:
        return plain
    end = plain[int(offsets[len(offsets) - tokens, 0]) :]
    words = end.split(None, 1)
    return end.lstrip() if end[:1].isspace() or len(words) < 2 else words[1]


def beginning(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """The first words of a text, normalised: at most so many tokens, cut behind a word where there is one."""
    plain = normalise(text[:_SEARCHED]).text
    offsets = tokenizer.encode(plain).offsets
    if len(offsets) <= tokens:
        return plain
    begin, rest = plain[: int(offsets[tokens - 1, 1])], plain[int(offsets[tokens - 1, 1]) :]
    words = begin.rsplit(None, 1)
    return begin if rest[:1].isspace() or len(words) < 2 else words[0]


def _count(text: str, tokenizer: Tokenizer) -> int:
    return len(tokenizer.encode(text))
