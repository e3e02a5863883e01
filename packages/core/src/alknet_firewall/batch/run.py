"""A whole run: planned, screened part by part, put together; and gone on with after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from alknet_firewall.batch.job import Job
from alknet_firewall.batch.local import Pool, Worker, WorkerEnded, default_processes
from alknet_firewall.batch.output import Output
from alknet_firewall.batch.parts import Part
from alknet_firewall.batch.plan import Plan, make_plan
from alknet_firewall.batch.screener import Setup
from alknet_firewall.batch.tally import Tally
from alknet_firewall.config import FirewallConfig
from alknet_firewall.errors import AlknetFirewallError, DataError

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        rows: Done, malformed ones included.
        total: Of the input.
        resumed: Of those that are done, rows of an earlier run.
        tally: Of what is done.
    """

    rows: int
    total: int
    resumed: int
    tally: Tally


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        tally: Of all rows.
        resumed: Rows that were done by an earlier run.
        output: The file or folder.
        rejected: The file of malformed rows; None if there are none.
        processes: That screened.
    """

    tally: Tally
    resumed: int
    output: Path
    rejected: Path | None
    processes: int


def screen_dataset(
    job: Job,
    config: FirewallConfig | None = None,
    *,
    engine: Engine = "local",
    processes: int | None = None,
    overwrite: bool = False,
    progress: Callable[[Progress], None] = lambda progress: None,
    scanned: Callable[[str], None] = lambda name: None,
) -> Result:
    """Screens a data set. After a kill, the same call goes on where the last one stopped.

    Args:
        job: What is to be screened, from where to where.
        config: The firewall's settings; by default those of the environment.
        engine: `local`, processes of this machine; `ray`, those of a cluster that sees the same files.
        processes: How many, one thread each; None: what cores and memory allow, with Ray all cores of the cluster.
        overwrite: Begin anew, whatever an earlier run has left.
        progress: Called whenever a part is done.
        scanned: Called with the name of each file that is read to be planned.

    Raises:
        DataError: The input cannot be read, a column is missing, or the output is that of something else.
        AlknetFirewallError: The firewall cannot be loaded, an extra is missing, or a part cannot be screened.
    """
    job = replace(
        job,
        inputs=tuple(str(Path(path).absolute()) for path in job.inputs),
        output=str(Path(job.output).absolute()),
    )
    cores = _cores(engine)
    plan = make_plan(job, scanned)
    if not plan.rows:
        raise DataError(f"{', '.join(job.inputs)}: no rows in there")
    setup = Setup(
        job, plan.files, plan.columns, plan.format, plan.single, _settings(config or FirewallConfig())
    )
    output = Output(job.output, plan.format, plan.single)
    with output.opened(overwrite=overwrite):
        first = _first_worker(setup)
        try:
            identity = {**plan.identity(), "engine": dict(first.identity)}
            run = output.begin(identity)
            known = output.completed()
            if known is not None:
                total = Tally.from_dict(known["summary"])
                return _result(output, total, total.rows + total.rejected, 0)
            done = _done(output, plan, run)
            left = [part for part in plan.parts if part.number not in done]
            count = max(1, min(processes or cores, len(left)))
            resumed = sum(tally.rows + tally.rejected for tally in done.values())
            told = _Told(progress, plan.rows, resumed, Tally.total(done.values()))
            found = _work(engine, setup, left, run, first, count) if left else iter(())
            for part, tally in found:
                done[part.number] = tally
                told.add(tally)
        finally:
            first.kill()
        total = Tally.total(done[part.number] for part in plan.parts)
        if total.rows + total.rejected != plan.rows:
            raise AlknetFirewallError(
                f"{total.rows + total.rejected} rows came out of {plan.rows}; begin anew"
            )
        output.complete([part.number for part in plan.parts], identity, total)
    return _result(output, total, resumed, count)


class _Told:
    def __init__(self, tell: Callable[[Progress], None], total: int, resumed: int, tally: Tally) -> None:
        self._tell, self._total, self._resumed, self._tally = tell, total, resumed, tally
        self.add(Tally())

    def add(self, tally: Tally) -> None:
        self._tally = Tally.total((self._tally, tally))
        rows = self._tally.rows + self._tally.rejected
        self._tell(Progress(rows, self._total, self._resumed, self._tally))


def _work(
    engine: Engine, setup: Setup, parts: Sequence[Part], run: str, first: Worker, processes: int
) -> Iterator[tuple[Part, Tally]]:
    if engine == "ray":
        from alknet_firewall.batch.ray_engine import screen_on_ray

        first.kill()
        return screen_on_ray(setup, parts, run, first.identity, processes)
    return Pool(setup, parts, run, first).screen(processes)


def _cores(engine: Engine) -> int:
    """How many processes there may be; with Ray it connects, so that what is missing is told before anything starts."""
    if engine == "local":
        return default_processes()
    from alknet_firewall.batch.ray_engine import cluster_cores

    return cluster_cores()


def _first_worker(setup: Setup) -> Worker:
    try:
        return Worker(setup)
    except WorkerEnded as ended:
        raise AlknetFirewallError(f"a worker process ended while it started ({ended})") from ended


def _done(output: Output, plan: Plan, run: str) -> dict[int, Tally]:
    markers = ((part.number, output.done(part.number, run)) for part in plan.parts)
    return {number: tally for number, tally in markers if tally is not None}


def _settings(config: FirewallConfig) -> dict[str, Any]:
    """Settings for other processes, which may run in other folders."""
    settings = config.model_dump(mode="json")
    for name in ("codebook", "weights"):
        if settings[name] is not None and Path(settings[name]).exists():
            settings[name] = str(Path(settings[name]).absolute())
    return settings


def _result(output: Output, total: Tally, resumed: int, processes: int) -> Result:
    rejected = output.final_rejected if total.rejected else None
    return Result(total, resumed, Path(output.path), rejected, processes)
