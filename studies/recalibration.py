"""Whether `alknet-firewall calibrate` brings the false alarms of a source to the rate that is asked for.

    python studies/recalibration.py [DATA...] [--known]

Every text is scored once, by the bundled codebook (half an hour on one thread for the first run; it may be stopped, and
goes on where it was); recalibrations are then made of these scores, some hundred a minute.

For each source of benign text: 500 rows are drawn by chance, the codebook is recalibrated to them, and judged on the
source's other rows; 20 times over. Of large sources 750 rows are taken. Sources of less than 700 rows give half of
theirs, at least 200 (marked *); under 250 rows they are left out, by name. Printed is the share flagged over the rate
asked for: before, its mean after, and the range that 90 % of single recalibrations lie in, which holds the noise of the
rows that they are judged on.

Then the same with attacks mixed in, from sources of their own, as traffic that nobody has vetted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from own_traffic import Scored, scored_sources, splits

from alknet_firewall import Firewall, FirewallConfig
from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.recalibrate import OwnText, Recalibration, recalibrated
from alknet_firewall.codebook.text_rates import text_log_rates
from alknet_firewall.evaluate.exact import threshold_share

RATES = (0.01, 0.02, 0.05)
ROWS, FIRST, SMALL, LEAST, OTHERS = 750, 500, 700, 200, 50
REPEATS = 20
ATTACK_ROWS = 10  # of a source and label
ATTACKS = (0.0, 0.01, 0.03, 0.05)


def calibrated(codebook: Codebook, rows: Sequence[Scored], vetted: bool) -> Recalibration:
    texts: dict[str, list[OwnText]] = {}
    for one in rows:
        texts.setdefault(one.row.channel, []).append(OwnText(one.log_odds, vetted))
    return recalibrated(codebook, texts)


def log_rates(codebook: Codebook, rows: Sequence[Scored]) -> np.ndarray:
    found = [text_log_rates(codebook, one.row.channel, [one.log_odds])[0] for one in rows]
    return np.array(found)


def first_rows(count: int) -> int:
    """How many of a source's rows it is recalibrated to; 0 if it has too few."""
    first = FIRST if count >= SMALL else max(LEAST, count // 2)
    return first if count - first >= OTHERS else 0


def by_source(codebook: Codebook, sources: dict[str, list[Scored]], repeats: int) -> None:
    print(f"| source | rows | given | before, at 1 % |{''.join(f' at {100 * r:g} % |' for r in RATES)}")
    print(f"| --- |{' ---: |' * (3 + len(RATES))}")
    means: dict[bool, list[np.ndarray]] = {True: [], False: []}  # by whether there are 500 to give
    for name, rows in sources.items():
        first, shares = first_rows(len(rows)), []
        for own, others in splits(len(rows), first, repeats):
            done = calibrated(codebook, [rows[i] for i in own], vetted=True)
            found = log_rates(done.codebook, [rows[i] for i in others])
            shares.append([np.mean(found <= np.log(rate)) / rate for rate in RATES])
        before = np.mean(log_rates(codebook, rows) <= np.log(RATES[0])) / RATES[0]
        low, high = np.quantile(shares, [0.05, 0.95], axis=0)
        mean = np.mean(shares, axis=0)
        large = len(rows) >= SMALL
        means[large].append(mean)
        told = "".join(f" {m:.2f} ({a:.2f}-{b:.2f}) |" for m, a, b in zip(mean, low, high))
        print(f"| {name}{'' if large else ' *'} | {len(rows)} | {first} | {before:.2f} |{told}", flush=True)
    print()
    for large, title in ((True, f"sources of {SMALL} rows or more"), (False, "smaller ones (*)")):
        if means[large]:
            inside = [int(((column >= 0.5) & (column <= 1.5)).sum()) for column in np.array(means[large]).T]
            told = ", ".join(f"{n} at {100 * rate:g} %" for n, rate in zip(inside, RATES))
            print(f"Within 0.5-1.5 of the asked rate, of {len(means[large])} {title}: {told}.")


def with_attacks(codebook: Codebook, sources: dict[str, list[Scored]], attacks: list[Scored]) -> None:
    """Means over sources of the share of benign rows flagged at 1 % over 1 %, and of attacks caught."""
    print("\n| attacks mixed in | set aside | benign flagged | attacks caught | as vetted: benign | attacks |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    generator, rate = np.random.default_rng(1), RATES[0]
    for share in ATTACKS:
        figures: list[list[float]] = []
        for rows in sources.values():
            for own, others in splits(len(rows), first_rows(len(rows)), 3):
                mixed, count = [rows[i] for i in own], round(share * len(own))
                drawn = generator.permutation(len(attacks))
                channel = mixed[0].row.channel
                new = [replace(attacks[i], row=replace(attacks[i].row, channel=channel)) for i in drawn]
                mixed[:count] = new[:count]
                figures.append([])
                for vetted in (False, True):
                    done = calibrated(codebook, mixed, vetted)
                    if not vetted:
                        aside = sum(found.sum() for found in done.attack_chances.values())
                        figures[-1].append(aside / len(mixed))
                    flagged = log_rates(done.codebook, [rows[i] for i in others]) <= np.log(rate)
                    caught = log_rates(done.codebook, new[count : count + 200]) <= np.log(rate)
                    figures[-1] += [flagged.mean() / rate, caught.mean()]
        aside, benign, caught, benign_vetted, caught_vetted = np.mean(figures, axis=0)
        print(
            f"| {100 * share:g} % | {aside:.2%} | {benign:.2f} | {caught:.0%} | {benign_vetted:.2f} | {caught_vetted:.0%} |",
            flush=True,
        )


def intervals() -> None:
    """Between which bounds the true rate lies, 95 % sure, by the number of texts: a matter of counting alone."""
    print(f"\n| texts |{''.join(f' asked for {100 * rate:g} % |' for rate in RATES)}\n| ---: |{' ---: |' * len(RATES)}")
    for count in (200, 500, 1000, 5000):
        sure = [threshold_share(rate, count) for rate in RATES]
        print(f"| {count:,} |{''.join(f' {one.low:.1%} to {one.high:.1%} |' for one in sure)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path, default=[Path("../shared/data/calibration")])
    parser.add_argument("--known", action="store_true", help="score nothing: judge by rows scored before")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of a source, at most ({ROWS})")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of each source ({REPEATS})")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scores", type=Path, help="folder for scores (default: the user's cache)")
    options = parser.parse_args(arguments)
    engine = Firewall(FirewallConfig(on_long="screen_all", threads=options.threads)).engine
    sources, attacks = scored_sources(
        engine, options.data, options.rows, ATTACK_ROWS, folder=options.scores, known_only=options.known
    )
    judged = {name: rows for name, rows in sources.items() if first_rows(len(rows))}
    small = [f"{name} ({len(rows)})" for name, rows in sources.items() if name not in judged]
    if judged:
        by_source(engine.codebook, judged, options.repeats)
        with_attacks(engine.codebook, judged, attacks)
    print(f"\nToo few rows: {', '.join(small) or 'none'}.")
    intervals()


if __name__ == "__main__":
    main()
