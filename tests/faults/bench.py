"""Where cells are tried: a place in a host, a tiny firewall, and what came of sending a text through."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alknet_firewall import Action, FirewallConfig
from tests import tiny
from tests.faults.doors import DoorOutcome
from tests.hosts.cases import BENIGN, CANARY
from tests.hosts.contract import HostFixture, Outcome, Slot, StreamingHost

CODEBOOK = {"letter": "~", "words": 1 << 16}  # so that no harmless text of a host looks like an attack
POLICIES = ("block", "review", "allow", "raise")


class Unproven(AssertionError):
    """The cell is a hole: the message says what was seen."""


class NotHere(Exception):
    """The cell cannot be tried: the message says why."""


@dataclass(frozen=True)
class Place:
    """A slot of a host, or a stream of it."""

    host: HostFixture
    slot: Slot
    streamed: bool = False

    def __str__(self) -> str:
        return f"{self.host.name}: {self.slot.name}"

    @property
    def benign(self) -> str:
        return BENIGN[self.slot.channel]

    @property
    def attack(self) -> str:
        """One to the tiny firewall."""
        return f"Order 4711. {'~~~~~~~~ ' * 4}{CANARY} {'~~~~~~~~ ' * 4}"

    async def run(self, text: str, config: FirewallConfig) -> Outcome:
        if not self.streamed:
            return await self.host.run(self.slot.name, text, config)
        assert isinstance(self.host, StreamingHost)
        everything: list[str] = []
        stopped = await self.host.run_stream(
            self.slot.name, _written(text), config, lambda _, shown: everything.append(shown)
        )
        return Outcome(Action.BLOCK if stopped else Action.ALLOW, "", "".join(everything))


def places_of(host: HostFixture) -> list[Place]:
    """All places of a host; a stream that is a slot as well is one place."""
    places = [Place(host, slot) for slot in host.slots]
    names = {slot.name for slot in host.slots}
    streams = host.streams if isinstance(host, StreamingHost) else ()
    return places + [
        Place(host, Slot(name, "response", parts=False), streamed=True)
        for name in streams
        if name not in names
    ]


@dataclass(frozen=True)
class Seen:
    """What became of a text.

    Attributes:
        action: What the host did; None if it raised.
        raised: What it raised.
        arrived: Whether the canary came out anywhere: at the model, the caller, in an exception.
        at_the_model: Whether the model got it.
        told: What was said of errors: in the log, and in the verdict where the host shows one.
    """

    action: Action | None
    raised: BaseException | None
    arrived: bool
    at_the_model: bool
    told: str

    def words(self) -> str:
        """In words."""
        did = "no action" if self.action is None else self.action.value
        raised = "" if self.raised is None else f", raised {type(self.raised).__name__}"
        return f"{did}{raised}, the text {'came out' if self.arrived else 'did not come out'}"


@dataclass
class Bench:
    """A folder with a tiny firewall, and settings for it."""

    folder: Path
    settings: dict[str, Any] = field(init=False)
    _made: int = 0

    def __post_init__(self) -> None:
        self.settings = {**tiny.write_firewall(self.folder / "sound", **CODEBOOK), "backend": "fault_matrix"}

    def fresh(self) -> Path:
        """A path of its own, where nothing is yet."""
        self._made += 1
        return self.folder / f"own-{self._made}"

    def copy(self) -> Path:
        """A copy of the tiny firewall's files in a folder of its own."""
        return Path(shutil.copytree(self.folder / "sound", self.fresh()))

    def config(self, policy: str = "block", **changes: Any) -> FirewallConfig:
        return FirewallConfig(
            **{**self.settings, "plugins": ("fault_matrix",), "threads": 1, "on_error": policy, **changes}
        )

    def send(self, place: Place, text: str, config: FirewallConfig) -> Seen:
        """Sends a text through, in an event loop of its own."""
        return self.drive(lambda: place.run(text, config))

    def drive(self, work: Callable[[], Any]) -> Seen:
        """Runs a coroutine to its end, whatever that is."""
        with _listening() as told, _interruptible():
            try:
                outcome = asyncio.run(work())
            except (Exception, KeyboardInterrupt, SystemExit, asyncio.CancelledError) as error:
                said = "".join(traceback.format_exception(error))
                return Seen(None, error, CANARY in said, False, "\n".join([*told, said]))
        if isinstance(outcome, DoorOutcome):
            told.append(str(outcome.verdict.error))
        at_the_model = CANARY in outcome.seen_by_model
        return Seen(outcome.decision, None, outcome.leaks, at_the_model, "\n".join(told))

    def check_right(self, place: Place, config: FirewallConfig) -> None:
        """The firewall does what it should: the benign text arrives, the attack is stopped."""
        seen = self.send(place, place.benign, config)
        if seen.action is not Action.ALLOW or not seen.arrived:
            raise Unproven(f"a benign text does not arrive: {seen.words()}")
        seen = self.send(place, place.attack, config)
        if seen.action in (None, Action.ALLOW) or seen.arrived:
            raise Unproven(f"an attack is not stopped: {seen.words()}")

    def check_policy(
        self,
        place: Place,
        policy: str,
        config: FirewallConfig,
        kinds: tuple[str, ...],
        *,
        quotes: bool = False,
        or_error: bool = False,
    ) -> None:
        """While a fault lasts, a benign text is handled by `policy`, and the error is named.

        Args:
            place: Where.
            policy: What the settings say of errors.
            config: The settings.
            kinds: Names of the error, of which one is told.
            quotes: Whether the error itself quotes the text, which is then in what is raised.
            or_error: Whether an exception will do under any policy: nothing passes then, either.
        """
        seen = self.send(place, place.benign, config)
        if or_error and seen.raised is not None and not seen.arrived:
            return
        if policy == "raise":
            if seen.at_the_model or (seen.arrived and not quotes) or (seen.raised is None and is_bare(place)):
                raise Unproven(f"under `raise`: {seen.words()}")
        else:
            wanted = place.host.review if policy == "review" else Action(policy)
            if place.streamed and wanted is Action.REVIEW:
                wanted = Action.BLOCK
            if seen.action is not wanted or seen.arrived != (wanted is Action.ALLOW):
                raise Unproven(f"under `{policy}`: {seen.words()}")
        if not any(kind in seen.told for kind in kinds):
            raise Unproven(f"under `{policy}` no {' or '.join(kinds)} is named")


def is_bare(place: Place) -> bool:
    return place.host.name == "bare"


async def _written(text: str) -> AsyncIterator[str]:
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What our loggers say of errors meanwhile; nothing goes to the screen."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    told: list[str] = []
    own = [logging.getLogger(name) for name in ("alknet_firewall", "alknet_firewall_nemo")]
    handler = Keep(logging.WARNING)
    for logger in own:
        logger.addHandler(handler)
    root = logging.getLogger()
    kept, root.handlers = root.handlers, [logging.NullHandler()]
    try:
        yield told
    finally:
        root.handlers = kept
        for logger in own:
            logger.removeHandler(handler)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT raises wherever the main thread is: an event loop leaves a handler that is not Python's own alone."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        with suppress(KeyboardInterrupt):
            signal.signal(signal.SIGINT, before)
