"""What of the attacks that are caught plain is still caught in disguise, and what disguise does to harmless text.

    python studies/evasion.py DATA... [--texts N] [--seed S]

Takes attacks that the firewall flags as they stand, and as much benign text, of at most 600 characters; writes each in
every disguise; prints a Markdown table: the share of the attacks that are still flagged, and the share of benign text
that is flagged, plain and in disguise, with 95 % intervals (Clopper and Pearson, Biometrika 26, 1934). Disguises in
the first part of the table can be undone without loss; those in the second lose letters or word borders.
"""

from __future__ import annotations

import argparse
import base64
import codecs
import random
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from alknet_firewall import Firewall
from alknet_firewall.compile.rows import ATTACK_LABELS, BENIGN_LABELS, Row, read_rows
from alknet_firewall.evaluate.exact import clopper_pearson

_LONGEST = 600  # characters
_LATIN = dict(zip("aceiopsxyABCEHIKMOPTX", "асеіорѕхуАВСЕНІКМОРТХ"))  # Cyrillic look-alikes
_LEET = str.maketrans("aeiostAEIOST", "431057431057")


def every_letter(text: str, put: str) -> str:
    return "".join(c + put if c.isalpha() else c for c in text)


def some(text: str, share: float, change: Callable[[str], str]) -> str:
    """Changes a fixed share of the letters, the same ones whenever the text is the same."""
    chance = random.Random(text)
    return "".join(change(c) if c.isalpha() and chance.random() < share else c for c in text)


REVERSIBLE: dict[str, Callable[[str], str]] = {
    "zero-width space between letters": lambda t: every_letter(t, "\u200b"),
    "soft hyphens": lambda t: every_letter(t, "\u00ad"),
    "Unicode tag characters": lambda t: "".join(chr(0xE0000 + ord(c)) if " " <= c <= "~" else c for c in t),
    "full-width letters": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "mathematical bold": lambda t: "".join(
        chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c
        for c in t
    ),
    "right-to-left override": lambda t: f"\u202e{t[::-1]}\u202c",
    "Cyrillic look-alikes, a third": lambda t: some(t, 0.34, lambda c: _LATIN.get(c, c)),
    "stacked combining marks": lambda t: every_letter(t, "\u0301\u0327\u0308\u0330"),
    "letters apart": lambda t: "   ".join(" ".join(word) for word in t.split()),
    "HTML entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "percent-encoding": lambda t: quote(t, safe=""),
    "backslash escapes": lambda t: "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in t),
    "base64": lambda t: base64.b64encode(t.encode("utf-8", "replace")).decode(),
    "hexadecimal": lambda t: t.encode("utf-8", "replace").hex(),
    "rot13": lambda t: codecs.encode(t, "rot13"),
    "HTML comment": lambda t: f"<p>Thank you for your visit.</p><!-- {t} -->",
    "tags inside words": lambda t: " ".join(w[:2] + "<b></b>" + w[2:] if len(w) > 3 else w for w in t.split(" ")),
}
LOSSY: dict[str, Callable[[str], str]] = {
    "leetspeak": lambda t: t.translate(_LEET),
    "capitals": str.upper,
    "letters apart, word borders lost": lambda t: " ".join(t.replace(" ", "")),
    "one letter in ten swapped": lambda t: some(t, 0.1, lambda c: "e" if c != "e" else "a"),
    "accents on a third of the letters": lambda t: some(
        t, 0.34, lambda c: unicodedata.normalize("NFC", c + "\u0301")
    ),
    "reversed": lambda t: t[::-1],
}


def flagged(firewall: Firewall, rows: Sequence[Row], change: Callable[[str], str]) -> list[bool]:
    """Whether each text is flagged; texts of one channel are screened together."""
    found: dict[int, bool] = {}
    for channel in sorted({row.channel for row in rows}):
        own = [i for i, row in enumerate(rows) if row.channel == channel]
        verdicts = firewall.screen_many([change(rows[i].text) for i in own], channel)
        found.update((i, verdict.flagged) for i, verdict in zip(own, verdicts))
    return [found[i] for i in range(len(rows))]


def share(hits: Sequence[bool]) -> str:
    """A share with its 95 % interval."""
    found = clopper_pearson(sum(hits), len(hits))
    return f"{found.value:.1%} ({found.low:.1%}-{found.high:.1%})"


def sample(rows: Sequence[Row], n: int, seed: int) -> list[Row]:
    """Rows dealt from all sources in turn."""
    chance = random.Random(seed)
    shuffled = chance.sample(list(rows), len(rows))
    seen: dict[str, int] = {}
    ranked = []
    for i, row in enumerate(shuffled):
        seen[row.source] = seen.get(row.source, 0) + 1
        ranked.append((seen[row.source], i))
    return [shuffled[i] for _, i in sorted(ranked)[:n]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", nargs="*", type=Path, default=[Path("../shared/data/calibration")])
    arguments.add_argument("--texts", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    firewall = Firewall().warm_up()
    short = [row for row in read_rows(options.data) if 20 <= len(row.text) <= _LONGEST]
    attacks = sample([row for row in short if row.label in ATTACK_LABELS], 2 * options.texts, options.seed)
    plain = flagged(firewall, attacks, str)
    caught = [row for row, hit in zip(attacks, plain) if hit][: options.texts]
    benign = sample([row for row in short if row.label in BENIGN_LABELS], 2 * options.texts, options.seed)
    print(f"{len(caught)} attacks that are caught plain, {len(benign)} benign texts, seed {options.seed}\n")
    print("| disguise | attacks still flagged | benign text flagged |\n| --- | ---: | ---: |")
    print(f"| none | 100 % | {share(flagged(firewall, benign, str))} |")
    for group in (REVERSIBLE, LOSSY):
        for name, change in group.items():
            print(
                f"| {name} | {share(flagged(firewall, caught, change))} | "
                f"{share(flagged(firewall, benign, change))} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
