"""`alknet-firewall compare`: other detectors on the same rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alknet_firewall.cli.evaluate import AsJson, Codebook, Config, Data, Limit, ReportPath

if TYPE_CHECKING:
    from alknet_firewall.compile.rows import Row
    from alknet_firewall.engine import Engine
    from alknet_firewall.evaluate.compare import Scores
    from alknet_firewall.evaluate.peers import Peer


def compare_command(
    data: Data,
    against: Annotated[
        str,
        typer.Option(
            help="Detectors, separated by commas: keywords, tfidf, guardian, llm-guard, llm-guard:FOLDER, "
            "hf:FOLDER, module:function."
        ),
    ] = "keywords",
    calibration: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled rows that tfidf is fitted to; not the ones that are judged. Repeatable."),
    ] = None,
    codebook: Codebook = None,
    limit: Limit = None,
    report: ReportPath = None,
    as_json: AsJson = False,
    config: Config = None,
    seed: Annotated[int, typer.Option(help="Of the choice of rows, of tfidf and of the bootstrap.")] = 0,
) -> None:
    """Judge the firewall and other detectors on the same labelled text, side by side, with the time they take."""
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.evaluate import INTERRUPTED, check_report, made_by, told_seen, write_report
    from alknet_firewall.cli.render import console, print_warning
    from alknet_firewall.compile.rows import read_rows
    from alknet_firewall.evaluate import limited, sources_seen
    from alknet_firewall.evaluate.compare import compare
    from alknet_firewall.firewall import Firewall

    if report is not None:
        check_report(report)
    rows = [row for _, row in limited(read_rows(data), limit, seed)]
    fitted_to = list(read_rows(calibration or []))
    peers = _peers(against, fitted_to, seed)
    engine = Firewall(settings(config, codebook)).engine
    seen = sorted(sources_seen(engine) & {row.source for row in rows})
    if seen:
        print_warning(told_seen(seen))
    known = _overlap(rows, fitted_to) if any(peer.name == "tfidf" for peer in peers) else ""
    if known:
        print_warning(known)
    scores, done = _scored(engine, peers, rows)
    complete = done == len(rows)
    if not complete:
        unwritten = "" if report is None else f"; {report} is not written"
        print_warning(f"interrupted: figures of {done:,} rows of {len(rows):,}, chosen by chance{unwritten}")
    found = compare(rows[:done], scores, seed=seed)
    if as_json:
        typer.echo(json.dumps({"complete": complete, "seen": seen, **found.to_dict()}))
    else:
        from alknet_firewall.cli.comparisons import comparison_notes, comparison_table, sources_table

        out = console()
        for part in (comparison_table(found), sources_table(found), comparison_notes(found)):
            out.print(part)
    if not complete:
        raise typer.Exit(INTERRUPTED)
    if report is not None:
        from alknet_firewall import __version__
        from alknet_firewall.evaluate.pages.comparison import comparison_page

        warnings = [text for text in (told_seen(seen) if seen else "", known) if text]
        made = f"alknet-firewall {__version__}, codebook {made_by(engine)}, seed {seed}."
        write_report(report, comparison_page(found, warnings, made))


def _peers(names: str, calibration: list[Row], seed: int) -> list[Peer]:
    from alknet_firewall.evaluate.peers import open_peer

    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted:
        raise typer.BadParameter("names no detector", param_hint="--against")
    return [open_peer(name, calibration, seed) for name in wanted]


def _overlap(rows: list[Row], calibration: list[Row]) -> str:
    """A warning if what tfidf is fitted to is also what it is judged on; empty if not."""
    texts = {row.text for row in calibration}
    same = sum(row.text in texts for row in rows)
    shared = {row.source for row in rows} & {row.source for row in calibration}
    if not same and not shared:
        return ""
    return (
        f"--calibration holds {same:,} of the texts that are judged, and {len(shared)} of their sources: tfidf has "
        "seen them, and its figures are better than those on unseen text"
    )


def _scored(engine: Engine, peers: list[Peer], rows: list[Row]) -> tuple[list[Scores], int]:
    """What all said of the first rows, and how many those are: Ctrl-C stops early."""
    from alknet_firewall.cli.render import progress_bar
    from alknet_firewall.evaluate.compare import merged, score_all

    batches: list[list[Scores]] = []
    done = 0
    with progress_bar("rows") as progress:
        task = progress.add_task("judging", total=len(rows))
        try:
            for batch in score_all(engine, peers, rows):
                batches.append(batch)
                done += len(batch[0].values)
                progress.update(task, completed=done)
        except KeyboardInterrupt:
            pass
    return merged(batches), sum(len(batch[0].values) for batch in batches)
