"""What a host must do to take part in the contract suite: one fixture module that defines `HOST`.

A new host joins by a module beside this one and a line in `HOSTS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

from alknet_firewall import Action, FirewallConfig, content_text, shared_firewall
from tests.hosts.cases import CANARY, CASES, Case

HOSTS = {
    "bare": "tests.hosts.bare",
    "llamafirewall": "tests.hosts.llamafirewall",
    "openai_agents": "tests.hosts.openai_agents",
    "nemo": "tests.hosts.nemo",
    "langchain": "tests.hosts.langchain",
    "litellm": "tests.hosts.litellm",
}
"""Fixture modules by name of the host. They import no host before `run` is called."""


@dataclass(frozen=True)
class Slot:
    """A place in a host where text is screened.

    Attributes:
        name: What the matrix calls it.
        channel: The channel that it screens as.
        parts: Whether the host hands over content in parts there; else only strings.
    """

    name: str
    channel: str
    parts: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of one content.

    Attributes:
        decision: What the host did.
        seen_by_model: Everything that the fake model was given from the first call to the last, as one string.
        returned: Everything that the caller got: returned, streamed, and the messages of exceptions.
    """

    decision: Action
    seen_by_model: str
    returned: str

    @property
    def leaks(self) -> bool:
        return CANARY in self.seen_by_model + self.returned


class HostFixture(Protocol):
    """A host as the suite drives it, with a fake model and no network.

    Attributes:
        name: As in `HOSTS`.
        requires: Modules that must be installed: the host's and the adapter's.
        slots: Where it screens.
        review: What `Action.REVIEW` becomes: hosts that know only stop and go stop.
    """

    name: str
    requires: tuple[str, ...]
    slots: tuple[Slot, ...]
    review: Action

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        """Sends content through one slot: as the user's message, a retrieved chunk, a tool's result or the
        model's answer, as the slot is. Nothing but this content may lead to the model being stopped."""


@runtime_checkable
class StreamingHost(Protocol):
    """What a host that streams has besides.

    Attributes:
        streams: Where a text that the model writes is handed on in pieces.
    """

    streams: tuple[str, ...]

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        """Lets the fake model write what the source yields, and answers whether the host stopped it.

        `show` is called with all that the caller gets, at once: the text that a user would read, and everything.
        """


def load_host(name: str) -> HostFixture:
    host: HostFixture = import_module(HOSTS[name]).HOST
    return host


def missing(host: HostFixture) -> list[str]:
    """The modules that the host needs and that are not installed."""
    return [module for module in host.requires if find_spec(module) is None]


def cases_of(slot: Slot) -> list[Case]:
    """The cases that a slot can be given."""
    return [
        case
        for case in CASES
        if case.channel == slot.channel and (slot.parts or isinstance(case.content, str))
    ]


def expected(host: HostFixture, case: Case, config: FirewallConfig) -> Action:
    """What the bare firewall decides, in the host's words."""
    key = (case.channel, case.id, config.model_dump_json())
    if key not in _decided:
        _decided[key] = shared_firewall(config).screen(content_text(case.content), case.channel).action
    return host.review if _decided[key] is Action.REVIEW else _decided[key]


_decided: dict[tuple[str, str, str], Action] = {}
