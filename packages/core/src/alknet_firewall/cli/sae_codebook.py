"""`alknet-firewall sae codebook`: a codebook of the behavior `deception`, from an autoencoder's features or without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alknet_firewall.cli.options import (
    DetectorBackend,
    DetectorPrecision,
    DetectorWeights,
    Related,
    StatesCache,
    Threads,
)
from alknet_firewall.errors import AlknetFirewallError, DataError

_TAP = 19
"""Where docs/deception.md found most."""


def codebook_command(
    data: Annotated[
        list[Path], typer.Option("--data", help="Rows labelled deception and honest; files or folders. Repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the codebook goes.")],
    sae: Annotated[
        list[Path] | None, typer.Option("--sae", help="Folder of an autoencoder whose features are read. Repeatable.")
    ] = None,
    tap: Annotated[
        list[int] | None, typer.Option(min=1, help="Block to read, counted from 1 (without --sae). Repeatable.")
    ] = None,
    beside: Annotated[
        str | None, typer.Option("--beside", help="Add it to this codebook; `bundled` for the one in the package.")
    ] = None,
    directions: Annotated[int, typer.Option(min=1, help="Features, with --sae.")] = 8,
    rows_per_source: Annotated[int, typer.Option(min=1, help="At most so many of a source and label.")] = 600,
    words: Annotated[bool, typer.Option("--words/--no-words", help="With a lexical readout (not --beside).")] = True,
    related: Related = True,
    folds: Annotated[int, typer.Option(min=2, help="Parts that the sources are divided into.")] = 2,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    cache: StatesCache = None,
    weights: DetectorWeights = None,
    backend: DetectorBackend = "auto",
    precision: DetectorPrecision = "auto",
    threads: Threads = None,
) -> None:
    """Compile a codebook of the behavior `deception`: a false statement against an honest one.

    Without an autoencoder it reads one direction, a linear probe's, at the last token. It is off until a configuration
    gives it an action. What it can tell, and what it cannot: docs/deception.md.
    """
    try:
        from alknet_firewall.compile.settings import CompileSettings
        from alknet_firewall.sae import behavior as made
    except ImportError as error:
        raise AlknetFirewallError(
            f"compiling needs the extra `compile`: pip install 'alknet-firewall[compile]' ({error})"
        ) from error

    from alknet_firewall.cli.codebooks import open_codebook
    from alknet_firewall.cli.progress import stages
    from alknet_firewall.cli.render import console, errors, visible
    from alknet_firewall.compile.rows import read_rows
    from alknet_firewall.detector.cache import cache_folder, write_atomically
    from alknet_firewall.detector.detector import load_detector
    from alknet_firewall.detector.weights import open_weights
    from alknet_firewall.plugins import load_plugins
    from alknet_firewall.sae import SAE
    from alknet_firewall.sae.left_out import left_out

    if sae and tap:
        raise typer.BadParameter("an autoencoder names its tap", param_hint="--tap")
    source, plugins = open_weights(weights), load_plugins()
    saes = [SAE.load(folder) for folder in sae or []]
    for one in saes:
        one.config.check_model(source.architecture.hidden_size, source.architecture.n_layers)
    base = None if beside is None else open_codebook(None if beside == "bundled" else Path(beside))
    first = base.taps[:1] if base is not None else (_TAP,)
    taps = tuple(sorted({one.config.tap for one in saes} or set(tap or first)))
    settings = CompileSettings(
        taps=taps, basis="sae" if saes else "linear", readouts=("last",),
        directions=directions, words=words and base is None, rows_per_source=rows_per_source, composed={},
        related=related, folds=folds, seed=seed,
    )  # fmt: skip
    if base is not None:
        settings = replace(settings, window=base.window)
    detector = load_detector(
        source, taps if base is None else base.taps, plugins.backends, backend=backend, precision=precision,
        allowed_precisions=None if base is None else base.precisions, threads=threads,
        max_length=settings.window.size + 64,
    )  # fmt: skip
    with stages(errors()) as progress:
        codebook, held_out = made.compile_deception(
            list(read_rows(data)), detector, settings, cache or cache_folder() / "states", saes=saes,
            readouts=plugins.readouts, detector_name=source.path.name, progress=progress,
        )  # fmt: skip
    told = left_out(held_out)
    codebook = replace(codebook, provenance={**codebook.provenance, "held_out": told})
    try:
        write_atomically(out, (codebook if base is None else made.beside(base, codebook)).to_bytes())
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    for name, figure in told.items():
        console().print(f"{visible(name):<24} left out: AUROC {figure[0]:.3f} ({figure[1]:.3f} to {figure[2]:.3f})")
