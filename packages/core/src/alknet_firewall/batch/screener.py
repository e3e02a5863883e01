"""One part: read, screened, written. What all engines run, so that their output is the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from alknet_firewall.batch.columns import verdict_values
from alknet_firewall.batch.inputs import Source, source_of
from alknet_firewall.batch.job import Format, Job
from alknet_firewall.batch.output import Output
from alknet_firewall.batch.parts import InputFile, Part
from alknet_firewall.batch.rows import Rows, to_json
from alknet_firewall.batch.tally import Tally
from alknet_firewall.batch.write import write_part, write_text
from alknet_firewall.config import FirewallConfig
from alknet_firewall.errors import DataError
from alknet_firewall.firewall import Firewall
from alknet_firewall.verdict import CHANNELS, Verdict

_OWN = {"threads": 1, "cache_verdicts": 0, "deadline_ms": None}
"""Settings of every worker: no verdict may depend on how busy the machine is, or on what was screened before."""
_INDIFFERENT = {*_OWN, "codebook", "weights", "batch_wait_ms", "max_waiting", "stream_memory_mb"}
"""Settings that decide no verdict here, or that are known by content."""


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a worker needs to know; goes to it as JSON.

    Attributes:
        job: As it was asked for.
        files: Of the input.
        columns: Of all files.
        format: Of the output.
        single: Whether the parts will be put together.
        config: The firewall's settings.
    """

    job: Job
    files: tuple[InputFile, ...]
    columns: Mapping[str, str]
    format: Format
    single: bool
    config: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """For `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Setup:
        """As it was."""
        fields = json.loads(text)
        job = fields["job"]
        for name in ("input_format", "output_format"):
            job[name] = None if job[name] is None else Format(job[name])
        files = tuple(InputFile(file["path"], Format(file["format"])) for file in fields["files"])
        made = Job(**{**job, "inputs": tuple(job["inputs"])})
        return cls(
            made, files, fields["columns"], Format(fields["format"]), fields["single"], fields["config"]
        )


class Screener:
    """Screens parts, one after the other, with one thread."""

    def __init__(self, setup: Setup) -> None:
        """Loads the firewall.

        Raises:
            AlknetFirewallError: It cannot be loaded.
        """
        self._setup = setup
        self._firewall = Firewall(FirewallConfig(**{**setup.config, **_OWN})).warm_up()
        self._sources: dict[int, Source] = {}
        self._output = Output(setup.job.output, setup.format, setup.single)

    def identity(self) -> dict[str, Any]:
        """What must not change between the beginning of a run and its end: the codebook, the detector, settings."""
        from alknet_firewall import __version__

        engine, config = self._firewall.engine, self._firewall.config
        return {
            "version": __version__,
            "codebook": hashlib.blake2b(engine.codebook.to_bytes(), digest_size=16).hexdigest(),
            "detector": engine.detector.fingerprint,
            "backend": f"{engine.detector.model.backend} {engine.detector.model.precision}",
            "behaviors": sorted(engine.behaviors),
            **config.model_dump(mode="json", exclude=_INDIFFERENT),
        }

    def screen(self, part: Part, run: str) -> Tally:
        """Screens a part and writes its files; the last of them says that the part is done.

        Args:
            part: Which one.
            run: Hash of what must not change; marks what belongs to this run.

        Raises:
            DataError: The part cannot be read or written.
        """
        begun = time.monotonic()
        job = self._setup.job
        if part.file not in self._sources:
            self._sources = {part.file: source_of(self._setup.files[part.file])}  # holds one file open
        rows = self._sources[part.file].read(part, job)
        if len(rows) != part.rows:
            raise DataError(f"{self._setup.files[part.file].path}: changed while it was screened")
        texts = rows.column(job.text_column)
        channels = _channels(rows, job)
        problems = [_problem(p, t, c, job) for p, t, c in zip(rows.problems, texts, channels)]
        keep = [i for i, problem in enumerate(problems) if problem is None]
        verdicts, distinct = self._verdicts([(texts[i], channels[i]) for i in keep])
        self._write(part, rows, keep, verdicts)
        self._set_aside(
            part, rows, [(i, problem) for i, problem in enumerate(problems) if problem is not None]
        )
        tally = Tally.of(verdicts, len(rows) - len(keep), distinct, time.monotonic() - begun)
        write_text(self._output.marker(part.number), json.dumps({"run": run, **tally.to_dict()}))
        return tally

    def _verdicts(self, asked: Sequence[tuple[str, str]]) -> tuple[list[Verdict], int]:
        """The same text of the same channel is screened once in a part; and how many there were to screen.

        How texts are put into batches, on which the last digits of a score depend, follows from the part alone.
        """
        found: dict[tuple[str, str], Verdict] = {}
        for channel in CHANNELS:
            texts = sorted(
                {text for text, named in asked if named == channel}, key=lambda text: (len(text), text)
            )
            for text, verdict in zip(texts, self._firewall.screen_many(texts, channel)):
                found[text, channel] = verdict
        return [found[one] for one in asked], len(found)

    def _write(self, part: Part, rows: Rows, keep: Sequence[int], verdicts: Sequence[Verdict]) -> None:
        setup, prefix = self._setup, self._setup.job.prefix
        path = self._output.part(part.number)
        added = [verdict_values(verdict, prefix) for verdict in verdicts]
        header = not setup.single or part.number == 0
        try:
            write_part(path, setup.format, rows, keep, added, setup.columns, prefix=prefix, header=header)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error

    def _set_aside(self, part: Part, rows: Rows, malformed: Sequence[tuple[int, str]]) -> None:
        if not malformed:
            return
        name = self._setup.job.id_column
        ids = [None] * len(rows) if name is None else rows.column(name)
        lines = [
            to_json(
                {
                    "file": rows.files[i],
                    "line": rows.numbers[i],
                    "id": ids[i],
                    "problem": why,
                    "row": rows.raw(i),
                }
            )
            for i, why in malformed
        ]
        write_text(self._output.rejected(part.number), "".join(f"{line}\n" for line in lines))


def _channels(rows: Rows, job: Job) -> list[Any]:
    if job.channel_column is None:
        return [job.channel] * len(rows)
    return [job.channel if value is None else value for value in rows.column(job.channel_column)]


def _problem(problem: str | None, text: object, channel: object, job: Job) -> str | None:
    """What is wrong with a row; the values themselves are not told."""
    if problem is not None:
        return problem
    if not isinstance(text, str):
        found = "has no value" if text is None else f"is no text but {type(text).__name__}"
        return f"`{job.text_column}` {found}"
    if not isinstance(channel, str) or channel not in CHANNELS:
        return f"`{job.channel_column}` is none of {', '.join(CHANNELS)}"
    return None
