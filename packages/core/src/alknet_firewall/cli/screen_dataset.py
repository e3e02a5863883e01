"""`alknet-firewall screen-dataset`: files in, the same rows with their verdicts out."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from alknet_firewall.cli.screen import FLAGGED, Channel


class Engine(str, Enum):
    """Where parts are screened."""

    LOCAL = "local"
    RAY = "ray"


class InputFormat(str, Enum):
    """Formats that can be read."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    DATASETS = "datasets"
    TEXT = "text"


class OutputFormat(str, Enum):
    """Formats that can be written."""

    JSONL = "jsonl"
    JSONL_GZ = "jsonl.gz"
    CSV = "csv"
    PARQUET = "parquet"


def screen_dataset_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...", help="Files or folders: JSON lines, CSV, Parquet, `datasets`, texts."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A file .jsonl, .jsonl.gz, .csv or .parquet; or a folder of parts."),
    ],
    text_column: Annotated[str, typer.Option(help="Column that is screened.")] = "text",
    channel: Annotated[Channel, typer.Option(help="Where the texts come from.")] = Channel.DOCUMENT,
    channel_column: Annotated[
        str | None, typer.Option(help="Column that says so; rows without it have --channel.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column told of malformed rows; of texts, that of their path.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="In front of the names of the new columns.")] = "",
    input_format: Annotated[
        InputFormat | None, typer.Option(help="Of the input (default: by suffix and content).")
    ] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option("--format", help="Of the parts in a folder.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="This machine, or a Ray cluster.")] = Engine.LOCAL,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes of one thread (default: by cores and memory).")
    ] = None,
    part_rows: Annotated[int, typer.Option(min=1, help="Rows that a worker takes at a time.")] = 1000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew instead of going on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: those in this folder).")
    ] = None,
) -> None:
    """Screen a data set; after a kill, the same command goes on. Exit status: 0 all allowed, 3 some flagged."""
    from alknet_firewall.batch import Format, Job, screen_dataset
    from alknet_firewall.cli.codebooks import settings
    from alknet_firewall.cli.dataset_progress import show_summary, watched

    job = Job(
        inputs=tuple(map(str, inputs)),
        output=str(out),
        text_column=text_column,
        channel=channel.value,
        channel_column=channel_column,
        id_column=id_column,
        prefix=prefix,
        input_format=None if input_format is None else Format(input_format.value),
        output_format=None if output_format is None else Format(output_format.value),
        part_rows=part_rows,
    )
    with watched() as watch:
        result = screen_dataset(
            job,
            settings(config),
            engine=engine.value,
            processes=processes,
            overwrite=overwrite,
            progress=watch.progress,
            scanned=watch.scanned,
        )
    if as_json:
        rejected = None if result.rejected is None else str(result.rejected)
        told = {"output": str(result.output), "rejected": rejected, "resumed": result.resumed}
        typer.echo(json.dumps({**told, **result.tally.to_dict()}))
    else:
        show_summary(result, watch.seconds)
    raise typer.Exit(FLAGGED if result.tally.flagged else 0)
