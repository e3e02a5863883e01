"""Text goes nowhere but to the model: not to logs, messages, files, events, state or representations, unless asked."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import Firewall, FirewallConfig, HoldBack
from alknet_firewall.stream.sinks import CallbackSink, JsonLinesSink, LoggingSink, Sink
from alknet_firewall.verdict import CHANNELS
from tests import tiny as tiny_module
from tests.conftest import TinyModel
from tests.faults import plugin
from tests.hosts import faults
from tests.watching import Watch, watching

LOUD = "~~~~~~~~ " * 6
"""An attack to the tiny firewall."""
Use = Callable[[Firewall, str], object]


@pytest.fixture
def watch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watch]:
    with watching(tmp_path, capfd, monkeypatch) as watch:
        yield watch


@pytest.fixture
def make(tiny: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Firewall]:
    """Firewalls over the tiny model, to which many tildes are an attack; arguments are settings."""
    path = tmp_path_factory.mktemp("privacy") / "codebook.safetensors"
    path.write_bytes(tiny_module.make_codebook(tiny.detector, letter="~", words=1 << 16).to_bytes())

    def make(**settings: Any) -> Firewall:
        plain = {"codebook": path, "weights": str(tiny.path), "backend": "onnxruntime", "plugins": ()}
        return Firewall(FirewallConfig(**{**plain, **settings}))

    return make


@pytest.fixture
def faulty(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin of the fault matrix, installed."""
    folder = tmp_path_factory.mktemp("plugins")
    faults.install(folder, plugin.ENTRY_POINTS, "fault_matrix")
    monkeypatch.syspath_prepend(str(folder))


def texts(canary: str) -> dict[str, str]:
    """By kind: harmless and flagged, in plain sight and in disguise."""
    hidden = base64.b64encode(f"{LOUD}{canary} {LOUD}".encode()).decode()
    return {
        "harmless": f"The town of {canary} lies on a river.",
        "flagged": f"{LOUD}{canary} {LOUD}",
        "base64": f"Please read this: {hidden}",
        "letters apart": " ".join(f"{LOUD.strip()}{canary}"),
        "hidden HTML": f"A page.<!-- {LOUD}{canary} -->",
        "control tokens": f"<|im_end|>{canary}\ud800\x00<|im_start|>{LOUD}",
        "long": f"{canary} is a town. " * 5000,
    }


KINDS = tuple(texts(""))


async def _pieces(text: str) -> AsyncIterator[str]:
    for start in range(0, len(text), 1000 if len(text) > 10_000 else 5):
        yield text[start : start + (1000 if len(text) > 10_000 else 5)]


def _alone(firewall: Firewall, text: str) -> object:
    return [repr(firewall.screen(text, channel)) for channel in CHANNELS]


def _awaited(firewall: Firewall, text: str) -> object:
    return asyncio.run(firewall.screen_async(text, "tool"))


def _many(firewall: Firewall, text: str) -> object:
    return firewall.screen_many([text, "Good morning.", text], "document")


def _streamed(firewall: Firewall, text: str) -> object:
    with firewall.stream(hold_back=HoldBack()) as stream:
        for start in range(0, len(text), 1000):
            stream.feed(text[start : start + 1000])
        return [repr(stream), repr(stream.close()), repr(stream.stopped), repr(vars(stream).keys())]


def _guarded(firewall: Firewall, text: str) -> object:
    async def read() -> object:
        async with firewall.guard_stream(_pieces(text)) as guarded:
            async for _ in guarded:
                pass
        return [repr(guarded), guarded.verdict, guarded.stopped]

    return asyncio.run(read())


def _said(firewall: Firewall, text: str) -> object:
    conversation = firewall.conversation(name="one")
    turns = [conversation.add(text), conversation.add("Good morning.")]
    return [repr(conversation), turns]


USES: dict[str, Use] = {
    "screen": _alone,
    "screen_async": _awaited,
    "screen_many": _many,
    "stream": _streamed,
    "guard_stream": _guarded,
    "conversation": _said,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use", USES)
def test_text_is_written_nowhere(use: str, kind: str, make: Callable[..., Firewall], watch: Watch) -> None:
    firewall = make(cache_verdicts=16)
    answer = repr(USES[use](firewall, texts(watch.canary)[kind]))
    assert not watch.holds(answer)
    assert not watch.holds(repr(firewall) + repr(firewall.engine) + repr(vars(firewall)))
    assert watch.found() == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "mode",
    [
        *sorted(plugin.BACKEND_MODES.keys() - {"backend hangs"}),
        "plugin raises and quotes the text",
        "plugin gives NaN",
    ],
)
@pytest.mark.parametrize("use", USES)
def test_a_fault_does_not_tell_it(
    use: str,
    mode: str,
    make: Callable[..., Firewall],
    watch: Watch,
    faulty: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugin, "CANARY", watch.canary)
    firewall = make(plugins=("fault_matrix",), backend="fault_matrix").warm_up()
    with plugin.armed(mode):
        answer = repr(USES[use](firewall, texts(watch.canary)["harmless"]))
    assert "error" in answer and not watch.holds(answer)
    assert watch.found() == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "mode", ["backend gives NaN", "backend gives too few texts", "backend out of memory"]
)
def test_nor_does_the_trace_of_what_is_raised(
    mode: str, make: Callable[..., Firewall], watch: Watch, faulty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "CANARY", watch.canary)
    firewall = make(plugins=("fault_matrix",), backend="fault_matrix", on_error="raise").warm_up()
    with plugin.armed(mode), pytest.raises(Exception) as raised:
        firewall.screen(texts(watch.canary)["harmless"])
    assert not watch.holds("".join(traceback.format_exception(raised.value)))
    assert watch.found() == []


def test_misuse_does_not_tell_it(make: Callable[..., Firewall], watch: Watch) -> None:
    firewall = make()
    for wrong in ([watch.canary], {watch.canary: 1}, watch.canary.encode()):
        with pytest.raises(TypeError) as raised:
            firewall.screen(wrong)  # type: ignore[arg-type]
        assert not watch.holds(str(raised.value))
    assert watch.found() == []


class _Kept(Sink):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events: list[str] = []

    def write(self, event: Any) -> None:
        self.events.append(repr(event) + json.dumps(event.to_dict()))


@pytest.mark.parametrize("asked", [False, True])
def test_sinks_get_it_only_if_they_ask(make: Callable[..., Firewall], watch: Watch, asked: bool) -> None:
    firewall, told = make(), []
    sinks: list[Sink] = [
        _Kept(include_text=asked),
        JsonLinesSink(watch.folder / "work" / "events.jsonl", include_text=asked),
        LoggingSink("some.audit", include_text=asked),
        CallbackSink(lambda event: told.append(json.dumps(event.to_dict())), include_text=asked),
    ]
    for sink in sinks:
        firewall.conversation(sink=sink).add(texts(watch.canary)["flagged"])
        with firewall.stream(sink=sink) as stream:
            stream.feed(texts(watch.canary)["flagged"])
        sink.close()
    assert isinstance(sinks[0], _Kept)
    assert watch.holds("".join(sinks[0].events)) == asked == watch.holds("".join(told))
    assert set(watch.found()) == ({"a log", "events.jsonl"} if asked else set())


def test_a_hash_is_no_text(make: Callable[..., Firewall], watch: Watch) -> None:
    sink = _Kept(include_hash=True)
    make().conversation(sink=sink).add(texts(watch.canary)["flagged"])
    sink.close()
    assert "sha256" in sink.events[0] and not watch.holds(sink.events[0])


def test_the_state_of_a_conversation_holds_its_last_words_and_says_so(
    make: Callable[..., Firewall], watch: Watch
) -> None:
    firewall = make()
    conversation = firewall.conversation()
    conversation.add(f"{LOUD}{watch.canary}")
    assert watch.holds(json.dumps(conversation.state())), "the last words are kept: its docstring says so"
    assert "confidential" in str(type(conversation).state.__doc__)
    assert watch.found() == []


@pytest.mark.parametrize(("options", "shown"), [(["--json"], False), ([], False), (["--explain"], True)])
def test_the_command_line_shows_it_only_if_asked(
    options: list[str], shown: bool, make: Callable[..., Firewall], watch: Watch
) -> None:
    settings = make().config
    file = watch.folder / "firewall.toml"
    file.write_text(f'codebook = "{settings.codebook}"\nweights = "{settings.weights}"\nplugins = []\n')
    program = "from alknet_firewall.cli import main; main()"
    command = [sys.executable, "-c", program, "screen", "--config", str(file), *options, "-"]
    text = texts(watch.canary)["harmless"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 3), ran.stderr
    assert watch.holds(ran.stdout) == shown and not watch.holds(ran.stderr)
    assert watch.found() == []


def test_the_watch_sees_what_it_should(watch: Watch) -> None:
    logging.getLogger("somebody").debug("a text: %s", watch.canary)
    print(base64.b64encode(f"xy{watch.canary}".encode()).decode())
    sys.stderr.write(watch.canary.lower())
    (watch.folder / "tmp" / "left.bin").write_bytes(watch.canary.encode("utf-16-le"))
    assert watch.found() == ["standard output", "standard error", "a log", "left.bin"]
