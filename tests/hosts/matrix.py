"""Runs the contract suite's table and writes what came out into a page, as Markdown.

python -m tests.hosts.matrix docs/hosts.md
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"  # read when NeMo is imported

import alknet_firewall
from alknet_firewall import Action, FirewallConfig
from alknet_firewall.verdict import CHANNELS
from tests.hosts import faults
from tests.hosts.cases import ATTACKS, BENIGN, Case
from tests.hosts.contract import HOSTS, HostFixture, Slot, cases_of, expected, load_host, missing

BEGIN, END = "<!-- made by `python -m tests.hosts.matrix docs/hosts.md`: begin -->", "<!-- end -->"
_PLAIN = FirewallConfig(plugins=())
_PACKAGES = {"nemo": "nemoguardrails", "openai_agents": "openai-agents", "langchain": "langchain-core"}


def _rows(channel: str, slots: list[tuple[HostFixture, Slot]]) -> Iterator[tuple[str, FirewallConfig, Case]]:
    """What is tried in a channel: a label, settings and a case."""
    cases = {case.id: case for _, slot in slots for case in cases_of(slot)}
    for case in cases.values():
        yield case.id, _PLAIN, case
    for policy in ("block", "review", "allow"):
        config = FirewallConfig(plugins=("contract_raising",), on_error=policy)
        yield f"engine raises, `on_error = {policy}`", config, Case("", channel, BENIGN[channel], None)
    yield (
        "attack, engine slow",
        FirewallConfig(plugins=("contract_slow",)),
        Case("slow", channel, ATTACKS[channel], None),
    )


async def _cell(
    host: HostFixture, slot: Slot, config: FirewallConfig, case: Case, counts: Counter[str]
) -> str:
    if not slot.parts and not isinstance(case.content, str):
        return "·"
    logging.disable(logging.CRITICAL)  # the faults are meant
    wanted = expected(host, case, config)
    outcome = await host.run(slot.name, case.content, config)
    logging.disable(logging.NOTSET)
    counts["cells"] += 1
    said = outcome.decision.value
    if outcome.decision is not wanted:
        counts["differ"] += 1
        said = f"**{said}, not {wanted.value}**"
    if outcome.decision is not Action.ALLOW and outcome.leaks:
        counts["leak"] += 1
        said += ", **leaks**"
    return said


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


async def _tables(hosts: list[HostFixture], counts: Counter[str]) -> list[str]:
    lines: list[str] = []
    for channel in CHANNELS:
        slots = [(host, slot) for host in hosts for slot in host.slots if slot.channel == channel]
        lines += ["", f"### Channel `{channel}`", ""]
        heads = [host.name if host.name == "bare" else f"{host.name}: {slot.name}" for host, slot in slots]
        lines += [_line(["case", *heads]), _line(["---"] * (len(slots) + 1))]
        for label, config, case in _rows(channel, slots):
            cells = [await _cell(host, slot, config, case, counts) for host, slot in slots]
            lines.append(_line([label, *cells]))
            print(lines[-1], file=sys.stderr)
    return lines


def main(page: Path) -> int:
    """Replaces what stands between the marks in `page`; returns 1 if a host differs, leaks or is missing."""
    hosts = [load_host(name) for name in HOSTS]
    absent = {host.name: missing(host) for host in hosts if missing(host)}
    if absent:
        print(f"not installed: {absent}", file=sys.stderr)
        return 1
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        faults.install(Path(folder))
        sys.path.insert(0, folder)
        tables = asyncio.run(_tables(hosts, counts))
    versions = ", ".join(_package(host) for host in hosts)
    summary = f"{counts['cells']} cells; {counts['differ']} differ from the engine, {counts['leak']} leak. With {versions}."
    page.write_text("\n".join([before + BEGIN, "", summary, *tables, "", END + after]), encoding="utf-8")
    print(summary)
    return 1 if counts["differ"] or counts["leak"] else 0


def _package(host: HostFixture) -> str:
    if host.name == "bare":
        return f"alknet-firewall {alknet_firewall.__version__}"
    package = _PACKAGES.get(host.name, host.name)
    return f"{package} {version(package)}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
