"""Every host, slot and case: the engine's decision, and nothing of the payload where it is stopped."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from alknet_firewall import Action, FirewallConfig
from tests.hosts.cases import ATTACKS, BENIGN, CANARY, Case
from tests.hosts.contract import HOSTS, HostFixture, Slot, cases_of, expected, load_host, missing
from tests.hosts.faults import SLOW_SECONDS

CONFIG = FirewallConfig(plugins=())  # none of the plugins that happen to be installed
_LOADED = [load_host(name) for name in HOSTS]
SLOTS = [pytest.param(host, slot, id=f"{host.name}-{slot.name}") for host in _LOADED for slot in host.slots]
CELLS = [
    pytest.param(host, slot, case, id=f"{host.name}-{slot.name}-{case.id}")
    for host in _LOADED
    for slot in host.slots
    for case in cases_of(slot)
]


@pytest.fixture(autouse=True)
def _installed(host: HostFixture) -> None:
    if absent := missing(host):
        pytest.skip(f"{host.name}: {', '.join(absent)} not installed")


@pytest.mark.parametrize(("host", "slot", "case"), CELLS)
def test_same_decision_and_no_leak(
    host: HostFixture, slot: Slot, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = asyncio.run(host.run(slot.name, case.content, CONFIG))
    assert outcome.decision is expected(host, case, CONFIG)
    if case.attack is not None:
        assert (outcome.decision is not Action.ALLOW) == case.attack
    if outcome.decision is not Action.ALLOW:
        assert not outcome.leaks
        assert CANARY not in caplog.text
    elif CANARY in str(case.content):
        assert outcome.leaks, "what is allowed must arrive, else this test proves nothing"


@pytest.mark.parametrize("policy", ["block", "review", "allow"])
@pytest.mark.parametrize(("host", "slot"), SLOTS)
def test_an_engine_that_raises(
    host: HostFixture, slot: Slot, policy: str, caplog: pytest.LogCaptureFixture, faulty_plugins: None
) -> None:
    config = FirewallConfig(plugins=("contract_raising",), on_error=policy)
    asyncio.run(host.run(slot.name, "", config))  # loads it
    caplog.clear()
    outcome = asyncio.run(host.run(slot.name, BENIGN[slot.channel], config))
    action = Action(policy)
    assert outcome.decision is (host.review if action is Action.REVIEW else action)
    assert outcome.leaks == (action is Action.ALLOW)
    ours = [record for record in caplog.records if record.name.startswith("alknet_firewall")]
    errors = len([record for record in ours if record.levelno >= logging.ERROR])
    assert errors == 1 or (errors > 1 and slot.name.endswith(", held back")), "screened as it comes, and at the end"
    assert not any(CANARY in record.getMessage() for record in ours)


@pytest.mark.parametrize(("host", "slot"), SLOTS)
def test_an_engine_that_is_slow(host: HostFixture, slot: Slot, faulty_plugins: None) -> None:
    config = FirewallConfig(plugins=("contract_slow",))

    async def beside_a_ticker() -> tuple[Action, float]:
        await host.run(slot.name, "", config)  # loads it
        gaps: list[float] = []
        ticker = asyncio.create_task(_tick(gaps))
        outcome = await host.run(slot.name, ATTACKS[slot.channel], config)
        ticker.cancel()
        assert not outcome.leaks
        return outcome.decision, max(gaps)

    decision, gap = asyncio.run(beside_a_ticker())
    assert decision is not Action.ALLOW, "the host waits for the verdict"
    assert gap < SLOW_SECONDS * 0.8, "the event loop goes on meanwhile"


async def _tick(gaps: list[float]) -> None:
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
