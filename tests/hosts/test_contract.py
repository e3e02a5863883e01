"""Every host, slot and case: the engine's decision, and nothing of the payload where it is stopped."""

from __future__ import annotations

import asyncio
import logging

import pytest

from alknet_firewall import Action, FirewallConfig
from tests.hosts.cases import ATTACKS, BENIGN, CANARY, Case
from tests.hosts.contract import HOSTS, HostFixture, Slot, cases_of, expected, load_host, missing
from tests.hosts.faults import SLOWLY, Slow

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
def test_an_engine_that_is_slow(
    host: HostFixture, slot: Slot, faulty_plugins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FirewallConfig(plugins=("contract_slow",))
    monkeypatch.setattr(SLOWLY, "longest", 20.0)  # s, where the event loop stands still
    monkeypatch.setattr(SLOWLY, "met", [])
    SLOWLY.inside.clear()
    SLOWLY.others.clear()

    async def beside_a_ticker() -> Action:
        await host.run(slot.name, "", config)  # loads it
        ticker = asyncio.create_task(_come_by(SLOWLY))
        outcome = await host.run(slot.name, ATTACKS[slot.channel], config)
        ticker.cancel()
        assert not outcome.leaks
        return outcome.decision

    assert asyncio.run(beside_a_ticker()) is not Action.ALLOW, "the host waits for the verdict"
    assert SLOWLY.met and all(SLOWLY.met), "the event loop goes on meanwhile"


async def _come_by(slow: Slow) -> None:
    """Has a turn of the event loop while the engine is at it."""
    while not slow.inside.is_set():
        await asyncio.sleep(0.005)
    slow.others.set()
