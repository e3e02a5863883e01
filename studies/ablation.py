"""What each part of the bundled codebook contributes, on sources that were left out.

    python studies/ablation.py [DATA...] [--states FOLDER] [--fits NAME...] [--evasion N] [--list]

Compiles nothing that is kept as a codebook. Eight fits are made, each with every fold of sources left out once; most
rows of the table only combine one of them anew. A fit is kept on disk: a run may be stopped, and loses the fit that was
being made. Hidden states are taken from the cache of `alknet-firewall compile` where they lie there (`--states`, by
default the user's); else they are computed first, which takes long. `--list` says what is done and makes nothing;
`--fits` makes only some; `--evasion` adds what decoded views contribute, on N attacks in every disguise, by the bundled
codebook. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from fits import Fit, Fits, is_no_partner, is_real
from without_decoding import evasion_table

from alknet_firewall.compile.corpus import Corpus
from alknet_firewall.compile.evidence import OutOfFold
from alknet_firewall.compile.rows import read_rows
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.detector.cache import cache_folder
from alknet_firewall.detector.detector import load_detector
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.evaluate.held_out import held_out_rankings, macro
from alknet_firewall.plugins import load_plugins

WHOLE = Fit("whole", {})
FITS: dict[str, tuple[Fit, str]] = {  # by name: the fit, and its row in the table
    fit.name: (fit, title)
    for fit, title in (
        (WHOLE, "all of it"),
        (Fit("real", {}, kept=is_real), "data: nothing composed"),
        (Fit("no-partners", {}, kept=is_no_partner), "data: composed attacks without benign partners"),
        (Fit("one-start", {"members": 1}), "readout: heads from one start"),
        (Fit("no-peaks", {"peaks": 0}), "readout: no peaks"),
        (Fit("no-end", {"readouts": ()}, ends=False), "readout: no template's end"),
        (Fit("svd", {"basis": "svd", "directions": 32}), "readout: SVD of mean and template's end"),
        (
            Fit("contrastive", {"basis": "contrastive", "directions": 16}),
            "readout: contrastive, mean and template's end",
        ),
    )
}
SHARES = (0.05, 0.2)  # of cascades beside that of a tenth


@dataclass(frozen=True)
class Combination:
    """A row of the table that combines the whole fit anew."""

    name: str
    settings: CompileSettings
    found: Callable[[OutOfFold], OutOfFold] = lambda found: found


def combinations(settings: CompileSettings) -> Iterator[Combination]:
    """The rows that need no fit of their own."""
    first, last = settings.taps[:1], settings.taps[-1:]
    yield Combination(f"cascade: none, every window to tap {last[0]}", replace(settings, cascade=None))
    for share in SHARES:
        yield Combination(f"cascade: {100 * share:g} % of windows go on", replace(settings, cascade=share))
    for name, taps, words in (
        (f"cascade: none, tap {first[0]} alone", first, True),
        (f"cascade: none, tap {last[0]} alone", last, True),
        ("lexical: no words", settings.taps, False),
        (f"lexical: no words, tap {first[0]} alone", first, False),
        (f"lexical: no words, tap {last[0]} alone", last, False),
        ("lexical: words alone", (), True),
    ):
        own = replace(settings, taps=taps, words=words, cascade=settings.cascade if taps == settings.taps else None)
        yield Combination(name, own, lambda found, own=own: parts(found, settings, own))  # type: ignore[misc]
    yield Combination("windows: the first of each text alone", settings, first_windows)


def parts(found: OutOfFold, settings: CompileSettings, own: CompileSettings) -> OutOfFold:
    """The same evidence without that of other taps, and of words unless wanted."""
    kept = [i for i, tap in enumerate(settings.taps) if tap in own.taps] + [len(settings.taps)] * own.words
    return replace(found, evidence=found.evidence[:, :, kept])


def first_windows(found: OutOfFold) -> OutOfFold:
    """The same evidence on the first window of each row that was kept."""
    corpus = found.corpus
    _, first = np.unique(corpus.row, return_index=True)
    kept = np.isin(corpus.window, first)
    window = np.searchsorted(first, corpus.window[kept])
    start = np.concatenate([[0], np.cumsum(np.diff(corpus.start)[kept])])
    ids = [corpus.ids[i] for i in first]
    cut = Corpus(corpus.rows, ids, corpus.row[first], window, start, corpus.payload[kept])
    return replace(found, corpus=cut, evidence=found.evidence[kept])


def show(name: str, found: OutOfFold, settings: CompileSettings) -> None:
    means = macro(held_out_rankings(found.held_out(found.log_odds(settings)), replicates=1))
    print("| " + " | ".join([name, *(f"{value:.3f}" for value in means.values())]) + " |", flush=True)


def listing(fits: Fits) -> None:
    """Says which fits are kept, and what hangs on each."""
    for name, (fit, title) in FITS.items():
        done = "done" if fits.path(fit).is_file() else "to do"
        rows = 1 + sum(1 for _ in combinations(fits.settings)) if fit is WHOLE else 1
        print(f"{done:<6}{name:<12} {title} ({rows} row{'s' if rows > 1 else ''})  {fits.path(fit)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path, default=[Path("../shared/data/calibration")])
    parser.add_argument("--states", type=Path, default=cache_folder() / "states", help="hidden states")
    parser.add_argument("--kept", type=Path, default=cache_folder() / "studies", help="fits and results")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=[*FITS])
    parser.add_argument("--evasion", type=int, default=0, metavar="N", help="attacks in every disguise")
    parser.add_argument("--list", action="store_true", help="say what is done, and make nothing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows-per-source", type=int, help="for a trial")
    parser.add_argument("--composed", type=float, default=1.0, help="share of composed rows, for a trial")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = CompileSettings(readouts=("template_end", "mean"))
    composed = {name: round(count * options.composed) for name, count in settings.composed.items()}
    settings = replace(
        settings, composed=composed, rows_per_source=options.rows_per_source or settings.rows_per_source
    )
    rows = list(read_rows(options.data))
    detector = load_detector(
        open_weights(), settings.taps, load_plugins().backends, max_length=settings.window.size + 64,
        threads=options.threads,
    )  # fmt: skip
    fits = Fits(rows, detector, settings, options.states, options.kept)
    if options.list:
        listing(fits)
        return
    print("| | AUROC | recall at 1 % | recall at 5 % |\n| --- | ---: | ---: | ---: |")
    for name in options.fits:
        fit, title = FITS[name]
        found = fits.get(fit)
        show(title, found, fit.settings(settings))
        for one in combinations(settings) if fit is WHOLE else ():
            show(one.name, one.found(found), one.settings)
    waiting = [name for name in FITS if not fits.path(FITS[name][0]).is_file()]
    print(f"fits that are not made: {', '.join(waiting) or 'none'}", file=sys.stderr)
    if options.evasion:
        evasion_table(rows, options.evasion, options.kept, options.threads, settings.seed)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
