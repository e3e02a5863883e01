"""`alknet-firewall evaluate`: figures by source on labelled text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alknet_firewall.compile.rows import Row
    from alknet_firewall.engine import Engine
    from alknet_firewall.evaluate import Report, ScoredRow

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
Data = Annotated[list[Path], typer.Argument(help="Labelled rows: JSON-lines files, or folders of them.")]
Codebook = Annotated[Path | None, typer.Option(help="Our codebook (default: the configured one).")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many rows of a source and label.")]
ReportPath = Annotated[
    Path | None, typer.Option(help="Write the figures as one HTML file that needs no network.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
Config = Annotated[Path | None, typer.Option(help="Settings file (default: those in this folder).")]

_LISTED = 20  # misses and false alarms in a report
_EXCERPT = 400


def evaluate_command(
    data: Data,
    codebook: Codebook = None,
    limit: Limit = None,
    report: ReportPath = None,
    show: Annotated[
        int | None,
        typer.Option(min=0, help="List so many of the worst misses and false alarms (in a report: 20)."),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="With the texts; they may be confidential or offensive.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
    seed: Annotated[int, typer.Option(help="Of the choice of rows and of the bootstrap.")] = 0,
) -> None:
    """Judge the firewall on labelled text: AUROC, recall at 0.1, 1 and 5 % false alarms, and more, by source."""
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.render import print_warning
    from alknet_firewall.compile.rows import read_rows
    from alknet_firewall.evaluate import limited, sources_seen
    from alknet_firewall.evaluate import report as figures_of
    from alknet_firewall.firewall import Firewall

    if report is not None:
        check_report(report)
    rows = limited(read_rows(data), limit, seed)
    engine = Firewall(settings(config, codebook)).engine
    scored, complete = _scored(engine, rows)
    if not complete:
        unwritten = "" if report is None else f"; {report} is not written"
        print_warning(
            f"interrupted: figures of {len(scored):,} rows of {len(rows):,}, chosen by chance{unwritten}"
        )
    figures = figures_of(scored, seen=sources_seen(engine), seed=seed)
    if figures.seen:
        print_warning(told_seen(figures.seen))
    if as_json:
        typer.echo(json.dumps({"rows": len(scored), "complete": complete, **figures.to_dict()}))
    else:
        _print(figures, scored, show or 0, texts)
    if not complete:
        raise typer.Exit(INTERRUPTED)
    if report is not None:
        _write(report, figures, scored, engine, _LISTED if show is None else show, texts, seed)


def check_report(path: Path) -> None:
    """Refuses a report that could not be written, before any text is judged.

    Raises:
        AlknetFirewallError: Plotly is not installed, or the path is that of a folder.
    """
    from alknet_firewall.errors import DataError
    from alknet_firewall.evaluate.pages.html import check_plotly

    if path.is_dir():
        raise DataError(f"{path}: is a folder; --report names a file")
    check_plotly()


def write_report(path: Path, content: str) -> None:
    """Writes a report in one step and says so on standard error.

    Raises:
        DataError: It cannot be written.
    """
    from alknet_firewall.cli.render import errors, visible
    from alknet_firewall.detector.cache import write_atomically
    from alknet_firewall.errors import DataError

    try:
        write_atomically(path, content.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    errors().print(f"report: {visible(str(path))}", soft_wrap=True)


def told_seen(sources: list[str]) -> str:
    """A warning that names sources that the codebook was compiled from."""
    named = ", ".join(sources[:8]) + (", ..." if len(sources) > 8 else "")
    return (
        f"the codebook was compiled from {len(sources)} of the sources ({named}); figures on them (marked *) are "
        "better than those on unseen text"
    )


def made_by(engine: Engine) -> str:
    """The codebook in few words: its file, and the start of its hash."""
    import hashlib

    name = "bundled" if engine.config.codebook is None else engine.config.codebook.name
    return f"{name} ({hashlib.sha256(engine.codebook.to_bytes()).hexdigest()[:12]})"


def _print(figures: Report, scored: list[ScoredRow], show: int, texts: bool) -> None:
    from alknet_firewall.cli import reports
    from alknet_firewall.cli.render import console

    out = console()
    for part in (reports.attack_table(figures), reports.benign_table(figures), reports.slice_table(figures)):
        out.print(part)
    if figures.piguard:
        out.print(reports.piguard_table(figures.piguard))
    out.print(reports.footnotes(figures))
    if show:
        out.print(reports.worst_rows(scored, show, texts))


def _write(
    path: Path, figures: Report, scored: list[ScoredRow], engine: Engine, listed: int, texts: bool, seed: int
) -> None:
    import math

    from alknet_firewall import __version__
    from alknet_firewall.cli.render import excerpt
    from alknet_firewall.codebook.calibration import score_of
    from alknet_firewall.evaluate.pages.evaluation import Made, report_page
    from alknet_firewall.policy import thresholds_of

    thresholds = thresholds_of(engine.config)
    marks = {
        "review": score_of(math.log(thresholds.review)),
        "block": score_of(math.log(thresholds.block)),
    }
    made = Made(made_by(engine), __version__, seed, marks)
    shown = (lambda text: excerpt(text, _EXCERPT)) if texts else None
    write_report(path, report_page(figures, scored, made, listed=listed, excerpt=shown))


def _scored(engine: Engine, rows: list[tuple[int, Row]]) -> tuple[list[ScoredRow], bool]:
    """The rows that were scored, and whether that is all of them: Ctrl-C stops early."""
    from alknet_firewall.cli.render import progress_bar
    from alknet_firewall.evaluate import score_rows

    scored: list[ScoredRow] = []
    with progress_bar("rows") as progress:
        task = progress.add_task("screening", total=len(rows))
        try:
            for row in score_rows(engine, rows):
                scored.append(row)
                progress.update(task, completed=len(scored))
        except KeyboardInterrupt:
            return scored, False
    return scored, True
