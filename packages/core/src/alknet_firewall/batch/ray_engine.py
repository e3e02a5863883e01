"""Ray Data: the parts of a run, screened by actors of a cluster that sees the same files.

A part is a row of the data set that goes through Ray. An actor reads it from where it lies and writes it where it
belongs, as a process of this machine would, so the output is the same. What Ray repeats after a worker was lost finds
the parts that were done, and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from alknet_firewall.batch.output import Output
from alknet_firewall.batch.parts import Part
from alknet_firewall.batch.screener import Screener, Setup
from alknet_firewall.batch.tally import Tally
from alknet_firewall.errors import AlknetFirewallError

_MOST_BLOCKS = 10_000  # of Ray's data set; beyond, a block has several parts


class PartScreener:
    """What runs in an actor."""

    def __init__(self, setup: str, run: str, identity: Mapping[str, Any]) -> None:
        """Loads the firewall, once for all parts.

        Raises:
            AlknetFirewallError: It cannot be loaded, or is not that of the run.
        """
        made = Setup.from_json(setup)
        self._output = Output(made.job.output, made.format, made.single)
        self._run = run
        self._screener = Screener(made)
        found = self._screener.identity()
        if found != identity:
            names = ", ".join(name for name in found if found[name] != identity.get(name))
            raise AlknetFirewallError(f"a worker of the cluster differs from this machine in: {names}")

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Screens a part, unless that was done before its worker was lost.

        What goes wrong is told as a row: of an exception of ours Ray keeps the traceback and loses the kind.
        """
        part = Part(**json.loads(row["part"]))
        try:
            tally = self._output.done(part.number, self._run) or self._screener.screen(part, self._run)
        except AlknetFirewallError as error:
            return {"part": row["part"], "tally": "", "error": str(error)}
        return {"part": row["part"], "tally": json.dumps(tally.to_dict()), "error": ""}


def screen_on_ray(
    setup: Setup, parts: Sequence[Part], run: str, identity: Mapping[str, Any], actors: int
) -> Iterator[tuple[Part, Tally]]:
    """Parts as they are done.

    Args:
        setup: Of the run.
        parts: To be screened.
        run: Hash that marks what belongs to it.
        identity: Of the firewall, the same on all machines.
        actors: How many, with a core each.

    Raises:
        AlknetFirewallError: A part cannot be screened.
    """
    ray = _connected()
    rows = [{"part": json.dumps(asdict(part))} for part in parts]
    data = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS))
    screened = data.map(
        PartScreener,
        fn_constructor_args=(setup.to_json(), run, dict(identity)),
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=1,  # an actor that is lost is started again, and its part repeated: Ray Data's default
    )
    try:
        for row in screened.iter_rows():
            if row["error"]:
                raise AlknetFirewallError(f"Ray: {row['error']}")
            yield Part(**json.loads(row["part"])), Tally.from_dict(json.loads(row["tally"]))
    except ray.exceptions.RayError as error:
        raise AlknetFirewallError(f"Ray: {_cause(error)}") from error


def cluster_cores() -> int:
    """Cores of the cluster."""
    return int(_connected().cluster_resources().get("CPU", 1))


def _connected() -> Any:
    """Ray, connected to the cluster that `RAY_ADDRESS` names or this machine has, or to one made for this run.

    Raises:
        AlknetFirewallError: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise AlknetFirewallError(
            f'--engine ray takes Ray: pip install "alknet-firewall[ray]" ({error})'
        ) from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, configure_logging=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _cause(error: BaseException) -> str:
    """What went wrong in the actor; of other errors only the kind, as their message may quote anything."""
    seen: BaseException | None = error
    while seen is not None:
        cause = getattr(seen, "cause", None) or seen.__cause__
        if isinstance(cause, AlknetFirewallError):
            return str(cause)
        seen = cause
    return type(error).__name__
