"""`python -m tests.fuzz run` and `python -m tests.fuzz flips`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tests.fuzz.registry import factories
from tests.fuzz.runner import run


def main() -> int:
    """Exit status 0: nothing found; 1: something; 130: interrupted, and the state is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fuzz = commands.add_parser("run", help="mutated inputs to every reader and to screening")
    fuzz.add_argument("--inputs", type=int, required=True, help="over all targets, earlier runs included")
    fuzz.add_argument("--state", type=Path, required=True, help="folder: where it is, and what it found")
    fuzz.add_argument("--targets", help=f"of {','.join(factories())} (default: all)")
    fuzz.add_argument("--seed", type=int, default=0)
    fuzz.add_argument("--deadline", type=float, default=10.0, help="seconds that one input may take")
    flips = commands.add_parser("flips", help="flipped bytes in every shipped artefact")
    flips.add_argument("--count", type=int, default=10_000, help="flips of each artefact, earlier runs included")
    flips.add_argument("--state", type=Path, help="folder: where it is (default: nothing is kept)")
    flips.add_argument("--artefacts", help="of codebook, weights, graph, note, state (default: all)")
    flips.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        return _fuzz(given) if given.command == "run" else _flips(given)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except ValueError as error:
        parser.error(str(error))


def _fuzz(given: argparse.Namespace) -> int:
    targets = given.targets.split(",") if given.targets else list(factories())
    state = run(given.inputs, given.state, targets, given.seed, given.deadline, lambda line: print(line, flush=True))
    print(f"\n{'target':20}{'inputs':>12}{'findings':>10}{'hangs':>8}{'crashes':>9}{'ms each':>10}{'longest':>10}")
    for name, one in state.targets.items():
        each = one.spent / max(one.done, 1) * 1e3
        print(
            f"{name:20}{one.done:>12,}{one.findings:>10}{one.hangs:>8}{one.crashes:>9}{each:>10.2f}{one.longest:>9.2f}s"
        )
    print(f"{'all':20}{sum(one.done for one in state.targets.values()):>12,}")
    return 0 if all(one.clean for one in state.targets.values()) else 1


def _flips(given: argparse.Namespace) -> int:
    from tests.fuzz.flips import flip_all

    wanted = given.artefacts.split(",") if given.artefacts else None
    return flip_all(given.count, given.seed, given.state, wanted, lambda line: print(line, flush=True))


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what is damaged on purpose is told of each time
    sys.exit(main())
