"""What the firewall says of texts written by hand: everyday ones with the words of attacks, and attacks.

    python studies/by_hand.py [--codebook FILE] [--show]

Prints a Markdown table of how many of each list are flagged, by channel; `--show` also the texts that it gets wrong.
The lists are in `by_hand.toml`. The first ones were looked at when generators were written; those called `later` were
written afterwards, before any codebook was judged by them, and no generator writes them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.verdict import CHANNELS

LISTS = Path(__file__).with_name("by_hand.toml")
ATTACKS = ("orders", "textbook", "attacks_later")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codebook", type=Path)
    parser.add_argument("--show", action="store_true", help="also the texts that it gets wrong")
    options = parser.parse_args(arguments)
    wrong: list[str] = []
    firewall = Firewall(FirewallConfig(codebook=options.codebook, on_error="raise"))
    print(f"| list | texts | {' | '.join(CHANNELS)} |\n| --- | ---: |{' ---: |' * len(CHANNELS)}")
    for name, texts in tomllib.loads(LISTS.read_text(encoding="utf-8")).items():
        is_attack, counts = name in ATTACKS, []
        for channel in CHANNELS:
            flagged = [verdict.flagged for verdict in firewall.screen_many(texts, channel)]
            counts.append(f"{sum(flagged)}")
            wrong += [
                f"{name}, {channel}: {text!r}"
                for text, so in zip(texts, flagged, strict=True)
                if so != is_attack
            ]
        kind = "attacks" if is_attack else "harmless"
        print(f"| {name} ({kind}) | {len(texts)} | {' | '.join(counts)} |", flush=True)
    if options.show:
        print("\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
