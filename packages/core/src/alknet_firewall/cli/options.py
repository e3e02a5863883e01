"""Options that several commands have: which detector, how it runs, where its states are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DetectorWeights = Annotated[
    str | None, typer.Option(help="Detector: GGUF file, folder, or hub:OWNER/NAME@COMMIT.")
]
DetectorBackend = Annotated[str, typer.Option(help="Detector backend.")]
DetectorPrecision = Annotated[str, typer.Option(help="Detector precision.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads (default: the cores this process may use).")]
StatesCache = Annotated[Path | None, typer.Option(help="Folder for hidden states (default: the user's cache).")]
Related = Annotated[
    bool, typer.Option("--related/--no-related", help="Leave sources that share passages out together.")
]
