"""Which way of hardening pays: what passed before, against views beside the windows, at as many false alarms.

    python studies/adaptive/harden.py [DATA...] [--texts N] [--benign N] [--views NAME]... [--again N]

Reads the drafts that passed in `attack.py` (run it first, with the same folder, seed and number of texts) and says for
each kind of views: how many of those drafts it flags, how many of the starts, and how much benign text that its
thresholds were not set on. With `--again N` the attacker then attacks it anew, knowing its scores, with N queries, from
starts that were not used before; for views from a secret it attacks a copy with a secret of its own, and what passes
there is sent once to the one with the real secret.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attack import SEARCHES, caught, kept_in, searches
from hardened import Hardened
from moves import Pieces
from outcomes import table
from starts import Start, benign_rows, example_starts, starts_of
from targets import AlknetTarget, Target
from trial import Outcome, Outcomes, run
from views import Grid, Keyed, Peak, Views

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.compile.rows import read_rows
from alknet_firewall.evaluate.metrics import wilson

VIEWS: dict[str, Callable[[bytes], Views]] = {
    "peak": lambda secret: Peak(32),
    "grid": lambda secret: Grid(32, 16),
    "wide": lambda secret: Grid(64, 32),
    "keyed": lambda secret: Keyed(secret, (24, 48)),
    "by-text": lambda secret: Keyed(secret, (24, 48), by_text=True),
}
_DEPLOYED, _COPY = b"the secret of the deployment", b"the secret of the attacker's copy"


def flagged(target: Target, texts: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether texts, each with its channel, are flagged."""
    found: dict[int, bool] = {}
    for channel in sorted({channel for _, channel in texts}):
        own = [i for i, (_, of) in enumerate(texts) if of == channel]
        found.update(zip(own, (one.flagged for one in target.judge([texts[i][0] for i in own], channel))))
    return [found[i] for i in range(len(texts))]


def share(hits: Sequence[bool]) -> str:
    if not hits:
        return ""
    found = wilson(sum(hits), len(hits))
    return f"{found.value:.1%} ({found.low:.1%}-{found.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, default=[Path("../shared/data/calibration")])
    parser.add_argument("--texts", type=int, default=24)
    parser.add_argument("--queries", type=int, default=200, help="that the attacks before had")
    parser.add_argument("--benign", type=int, default=600)
    parser.add_argument("--views", action="append", choices=list(VIEWS))
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--search", action="append", choices=SEARCHES, help="that attack anew; by default padding and split")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--folder", type=Path, default=Path("build/adaptive"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    rows = list(read_rows(options.data))
    plain = AlknetTarget(Firewall(FirewallConfig(threads=options.threads)).warm_up())
    every = starts_of(rows, options.seed) or example_starts()
    starts = caught(plain, every, 2 * options.texts if options.again else options.texts)
    first, others = starts[: options.texts], starts[options.texts :]
    outcomes = Outcomes(kept_in(options.folder, options.seed))
    passed = drafts_that_passed(outcomes, first, options.queries)
    benign = benign_rows(rows, options.seed, options.benign)
    set_on, judged = benign[::2], [(row.text, row.channel) for row in benign[1::2]]
    own = [(start.text, start.channel) for start in first]
    print("| read beside the windows | drafts that passed, now flagged | starts flagged | benign text flagged |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| nothing | {' | '.join(share(flagged(plain, texts)) for texts in (passed, own, judged))} |", flush=True)
    told = []
    pieces = Pieces.of(benign_rows(rows, options.seed, 150))
    for name in options.views or list(VIEWS):
        make = VIEWS[name]
        deployed = Hardened.fitted(plain.firewall.engine, make(_DEPLOYED), set_on)
        cells = (share(flagged(deployed, texts)) for texts in (passed, own, judged))
        print(f"| {deployed.name} | {' | '.join(cells)} |", flush=True)
        if options.again:
            keyed = make(_DEPLOYED) != make(_COPY)
            copied = Hardened.fitted(plain.firewall.engine, make(_COPY), set_on) if keyed else deployed
            targets: dict[str, Target] = {"score": plain, name: deployed}
            if keyed:
                targets[f"{name}, copy"] = copied
            chosen = options.search or ["padding", "split"]
            told += again(targets, others, chosen, pieces, outcomes, options.again, deadline)
            if keyed:
                print(f"\n{sent_once(deployed, name, others, outcomes, options.again)}\n")
    if told:
        print(f"\n{table(told, options.again)}")


def drafts_that_passed(outcomes: Outcomes, starts: Sequence[Start], queries: int, of: str = "score") -> list[tuple[str, str]]:
    """Texts, each with its channel, that passed a target."""
    found = ((start, outcomes.get((of, search, start.key), queries)) for start in starts for search in SEARCHES)
    return [(one.text, start.channel) for start, one in found if one is not None and one.evaded]


def again(
    targets: Mapping[str, Target], starts: Sequence[Start], chosen: list[str], pieces: Pieces, outcomes: Outcomes,
    queries: int, deadline: float,
) -> list[tuple[str, str, list[Outcome]]]:  # fmt: skip
    """Attacks each target from the starts that all of them flag."""
    texts = [(start.text, start.channel) for start in starts]
    hits = [flagged(target, texts) for target in targets.values()]
    own = [start for start, *caught_by in zip(starts, *hits) if all(caught_by)]
    told = []
    for name, target in targets.items():
        for searched, search in searches(chosen, pieces, target).items():
            missing = [start for start in own if outcomes.get((name, searched, start.key), queries) is None]
            for one in run(target, (name, searched), search, missing, queries, deadline):
                outcomes.add(one)
            found = [outcomes.get((name, searched, start.key), queries) for start in own]
            told.append((name, searched, [one for one in found if one is not None]))
            print(f"{time.strftime('%H:%M:%S')} {name} {searched}: {len(told[-1][2])} of {len(own)}", file=sys.stderr)
    return told


def sent_once(deployed: Target, name: str, starts: Sequence[Start], outcomes: Outcomes, queries: int) -> str:
    """What passed a copy with another secret, sent to the deployment: how much passes there, too."""
    passed = drafts_that_passed(outcomes, starts, queries, f"{name}, copy")
    hits = [not hit for hit in flagged(deployed, passed)]
    return f"Of {len(passed)} drafts that passed a copy with another secret, {share(hits) or 'none'} pass {deployed.name}."


if __name__ == "__main__":
    main()
