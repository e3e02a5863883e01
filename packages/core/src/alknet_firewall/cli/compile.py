"""`alknet-firewall compile`: labelled rows in, a codebook out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alknet_firewall.cli.options import (
    DetectorBackend,
    DetectorPrecision,
    DetectorWeights,
    Related,
    StatesCache,
    Threads,
)
from alknet_firewall.errors import AlknetFirewallError, ConfigError, DataError

if TYPE_CHECKING:
    from rich.table import Table

    from alknet_firewall.compile.evidence import HeldOut
    from alknet_firewall.evaluate.metrics import Ranking


def compile_command(
    data: Annotated[
        list[Path], typer.Option("--data", help="JSON-lines file, or folder of them. Repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the codebook goes.")],
    weights: DetectorWeights = None,
    tap: Annotated[list[int] | None, typer.Option(help="Block to read, counted from 1. Repeatable.")] = None,
    basis: Annotated[str, typer.Option(help="learned, contrastive or svd.")] = "learned",
    readout: Annotated[
        list[str] | None,
        typer.Option(help="template_end, mean or last; beside learned heads, or alone. Repeatable."),
    ] = None,
    directions: Annotated[
        int | None, typer.Option(min=1, help="Heads a behavior, or directions a readout.")
    ] = None,
    members: Annotated[int | None, typer.Option(min=1, help="How often heads are trained.")] = None,
    stretch: Annotated[
        int | None, typer.Option(min=0, max=4096, help="Tokens of the stretches of a window; 0: read it as a whole.")
    ] = None,
    rows_per_source: Annotated[
        int | None, typer.Option(min=1, help="At most so many of a source and label.")
    ] = None,
    words: Annotated[bool, typer.Option("--words/--no-words", help="With a lexical readout.")] = True,
    cascade: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Share of benign windows that goes on to the next tap; 1: everything."),
    ] = None,
    composed: Annotated[
        bool, typer.Option("--composed/--no-composed", help="Add composed attacks and partners.")
    ] = True,
    related: Related = True,
    folds: Annotated[int | None, typer.Option(min=2, help="Parts that the sources are divided into.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of everything random.")] = 0,
    cache: StatesCache = None,
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", help="Write the rows as fits judged them that their source was left out of."),
    ] = None,
    backend: DetectorBackend = "auto",
    precision: DetectorPrecision = "auto",
    threads: Threads = None,
) -> None:
    """Compile a codebook from labelled text.

    Rows are JSON objects, one a line: text, label (benign, hard_negative, injection, jailbreak, harmful), source and
    channel (user, document, tool, response). Hidden states are kept in the cache: an interrupted run goes on.
    """
    try:
        from alknet_firewall.compile.compiler import compile_codebook
        from alknet_firewall.compile.rows import read_rows
        from alknet_firewall.compile.settings import CompileSettings
    except ImportError as error:
        raise AlknetFirewallError(
            f"compiling needs the extra `compile`: pip install 'alknet-firewall[compile]' ({error})"
        ) from error

    from alknet_firewall.cli.progress import stages
    from alknet_firewall.cli.render import console as output
    from alknet_firewall.cli.render import errors, print_warning, visible
    from alknet_firewall.config import FirewallConfig
    from alknet_firewall.detector.cache import cache_folder, write_atomically
    from alknet_firewall.detector.detector import load_detector
    from alknet_firewall.detector.weights import open_weights
    from alknet_firewall.evaluate.held_out import held_out_lines, held_out_rankings, macro
    from alknet_firewall.plugins import load_plugins
    from alknet_firewall.policy import check_settings

    if members is not None and basis != "learned":
        raise typer.BadParameter("only learned heads have another start", param_hint="--members")
    if held_out is not None and held_out.resolve() == out.resolve():
        raise typer.BadParameter(f"{held_out} is where the codebook goes", param_hint="--held-out")
    for path in (out, held_out):  # not after an hour
        if path is not None and not os.access(path.resolve().parent, os.W_OK):
            raise DataError(f"{path}: its folder is not there or cannot be written to")
    console = errors()
    settings = CompileSettings(**_given(
        taps=tuple(sorted(set(tap))) if tap else None,
        basis=_choice("--basis", basis, ("learned", "contrastive", "svd")),
        readouts=tuple(readout) if readout else None, directions=directions, words=words,
        members=members, stretch=stretch, rows_per_source=rows_per_source, related=related, folds=folds, seed=seed,
        composed=None if composed else {},
    ))  # fmt: skip
    if cascade is not None:
        settings = replace(settings, cascade=cascade if cascade < 1 else None)
    rows = list(read_rows(data))
    plugins = load_plugins()
    for name in set(settings.readouts) - set(plugins.readouts):
        raise DataError(f"--readout {name}: unknown; there are {', '.join(sorted(plugins.readouts))}")
    source = open_weights(weights)
    detector = load_detector(
        source, settings.taps, plugins.backends, backend=backend, precision=precision, threads=threads,
        max_length=settings.window.size + 64,
    )  # fmt: skip
    with stages(console) as progress:
        codebook, left_out = compile_codebook(
            rows, detector, settings, cache or cache_folder() / "states",
            readouts=plugins.readouts, provenance={"revision": _revision()}, detector_name=source.path.name,
            progress=progress,
        )  # fmt: skip
    found = held_out_rankings(left_out)
    codebook = replace(codebook, provenance={**codebook.provenance, "held_out": macro(found)})
    written = {out: codebook.to_bytes()}
    if held_out is not None:
        written[held_out] = held_out_lines(left_out, codebook.group)
    for path, content in written.items():
        try:
            write_atomically(path, content)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    output().print(_summary(found, left_out))
    try:
        check_settings(FirewallConfig(), codebook, codebook.behaviors)
    except ConfigError as error:
        print_warning(f"with the present settings no text can be screened with it: {error}")
    console.print(f"{visible(str(out))}: {out.stat().st_size / 1e6:.1f} MB, for detector {codebook.fingerprint[:12]}")


def _summary(found: Mapping[str, Ranking], held_out: HeldOut) -> Table:
    """What was learnt, as a table: each attack source as the fits saw it that it was left out of."""
    from rich.table import Table

    from alknet_firewall.cli.render import visible
    from alknet_firewall.compile.rows import ATTACK_LABELS
    from alknet_firewall.evaluate.held_out import macro, shown

    table = Table(title="Attack sources that were left out, against benign sources left out with them")
    for heading in ("source", "behavior", "rows", "AUROC", "recall at 1 %", "recall at 5 %"):
        words = heading in ("source", "behavior")
        table.add_column(heading, justify="left" if words else "right", no_wrap=heading == "source")
    kinds: dict[str, dict[str, Ranking]] = {}
    for source, ranking in found.items():
        own = [row.label for row in held_out.rows if row.source == source and row.label in ATTACK_LABELS]
        kind = ", ".join(sorted(set(own)))
        figures = [shown(ranking.auroc), *(shown(estimate) for estimate in ranking.recall.values())]
        table.add_row(visible(source), kind, str(len(own)), *figures)
        kinds.setdefault(kind, {})[source] = ranking
    table.add_section()
    if not found:
        table.caption = "No attack source has enough rows to be told apart."
    for kind, members in sorted(kinds.items()) if len(kinds) > 1 else ():
        table.add_row(f"mean of {len(members)}", kind, "", *(f"{value:.3f}" for value in macro(members).values()))
    table.add_row("mean over sources", "", "", *(f"{value:.3f}" for value in macro(found).values()))
    return table


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}", param_hint=option)
    return value


def _revision() -> str:
    """The commit of the source tree that compiles, as far as git tells."""
    import subprocess

    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return found.stdout.strip()
