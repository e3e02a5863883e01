"""Where NeMo Guardrails surprises, shown with the real package; the adapter must hold all the same.

What the adapter cannot hold is shown too, and listed in docs/hosts.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alknet_firewall import AlknetFirewallError, ConfigError, FirewallConfig, shared_firewall
from tests.hosts.cases import ATTACKS, BENIGN, CANARY
from tests.hosts.nemo import (
    ANSWER,
    CALM,
    COLANG_2,
    DIALOG,
    RAILS,
    REFUSAL,
    application,
    in_pieces,
    settings,
    tool_call,
    tool_exchange,
    with_retriever,
)

pytest.importorskip("nemoguardrails")
pytest.importorskip("alknet_firewall_nemo")

PLAIN = settings(FirewallConfig(plugins=()))
PASSTHROUGH = f"{PLAIN}passthrough: true\n"
GUARDED = f"{PASSTHROUGH}{RAILS}"
NAIVE = """
define subflow naive input
  $seen = execute alknet_firewall_screen(channel="user", content=$user_message)
  if $seen.is_blocked
    bot refuse to respond
    stop

define subflow naive output
  $seen = execute alknet_firewall_screen(channel="response", content=$bot_message)
  if $seen.is_blocked
    bot refuse to respond
    stop

define subflow naive tool input
  $seen = execute alknet_firewall_screen(channel="tool", content=$tool_message)
  if $seen.is_blocked
    bot refuse to respond
    stop

define subflow naive tool output
  $seen = execute alknet_firewall_screen(channel="response", content=$tool_calls)
  if $seen.is_blocked
    bot refuse to respond
    stop
"""
"""Rails as the host's documentation writes them: what they let through is the host's own doing."""


def rails(kind: str, flow: str, more: str = "") -> str:
    return f"rails: {{{kind}: {{flows: [{flow}]{more}}}}}\n"


def user(text: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


async def streamed(app: Any, messages: list[dict[str, Any]], **given: Any) -> str:
    return "".join([piece async for piece in app.stream_async(messages=messages, **given)])


def test_tool_calls_are_handed_out_after_a_stop() -> None:
    attack = tool_call(ATTACKS["response"])
    app, _ = application(PASSTHROUGH + rails("tool_output", "naive tool output"), NAIVE, attack)
    assert CANARY in str(run(app.generate_async(messages=user("Hello"))))
    app, _ = application(GUARDED, None, attack)
    result = run(app.generate_async(messages=user("Hello")))
    assert result == {"role": "assistant", "content": REFUSAL}
    app, _ = application(GUARDED, None, tool_call("See you at noon."))
    assert run(app.generate_async(messages=user("Hello")))["tool_calls"]


def test_the_model_is_not_called_after_tool_results_that_pass() -> None:
    messages = tool_exchange(BENIGN["tool"])
    bare = PASSTHROUGH.replace("import_paths: [alknet_firewall_nemo]", "")
    naive = "define subflow nothing\n  $nothing = 1\n"
    app, model = application(bare + rails("tool_input", "nothing"), naive, ANSWER)
    assert run(app.generate_async(messages=messages))["content"] == ""
    assert not model.prompts
    app, model = application(GUARDED, None, ANSWER)
    assert run(app.generate_async(messages=messages))["content"] == ANSWER
    assert len(model.prompts) == 1


def test_only_the_first_of_two_tool_results_is_shown_to_a_rail() -> None:
    messages = tool_exchange(BENIGN["tool"], ATTACKS["tool"])
    app, model = application(PASSTHROUGH + rails("tool_input", "naive tool input"), NAIVE, ANSWER)
    run(app.generate_async(messages=messages))
    assert CANARY in "".join(model.prompts)
    app, model = application(GUARDED, None, ANSWER)
    assert run(app.generate_async(messages=messages))["content"] == REFUSAL
    assert not model.prompts


def test_three_tool_results_never_come_to_an_end() -> None:
    messages = tool_exchange("One.", "Two.", "Three.")
    app, _ = application(PASSTHROUGH + rails("tool_input", "naive tool input"), NAIVE, ANSWER)
    with pytest.raises(Exception, match="Too many events"):
        run(app.generate_async(messages=messages))
    app, _ = application(GUARDED, None, ANSWER)
    assert run(app.generate_async(messages=messages))["content"] == ANSWER


def test_a_stream_shows_text_before_it_is_checked() -> None:
    more = ", streaming: {enabled: true}"
    app, _ = application(PASSTHROUGH + rails("output", "naive output", more), NAIVE)
    attack = ATTACKS["response"]
    assert CANARY in run(streamed(app, user("Hello"), generator=in_pieces(attack)))
    app, _ = application(GUARDED, None, attack)
    assert CANARY not in run(streamed(app, user("Hello")))
    app, _ = application(GUARDED, None, BENIGN["response"])
    assert run(streamed(app, user("Hello"))) == BENIGN["response"]


@pytest.mark.parametrize("parallel", ["", ", parallel: true"])
def test_a_phrase_split_over_chunks_goes_out_in_part(parallel: str) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield f"{BENIGN['response']} Here"
        yield ATTACKS["response"].removeprefix("Here")

    streaming = f", streaming: {{enabled: true, chunk_size: 1}}{parallel}"
    output = PASSTHROUGH + rails("output", "alknet firewall check output", streaming)
    app, _ = application(output.replace('"plugins"', '"stream": "chunks", "plugins"'))
    in_part = run(streamed(app, user("Hello"), generator=pieces()))
    assert in_part.startswith(f"{BENIGN['response']} Here{{")  # what `stream: chunks` accepts
    assert "content_blocked" in in_part
    app, _ = application(output)
    assert run(streamed(app, user("Hello"), generator=pieces())).startswith('{"error"')


def test_a_streaming_handler_is_served_before_the_rails() -> None:
    from nemoguardrails.streaming import StreamingHandler

    async def hand_out() -> str:
        app, _ = application(GUARDED, None, ATTACKS["response"])
        handler = StreamingHandler()
        await app.generate_async(messages=user("Hello"), streaming_handler=handler)
        return "".join([str(piece) async for piece in handler])

    assert CANARY in run(hand_out())  # see docs/hosts.md: use stream_async


def test_the_model_is_called_after_a_parallel_rail_refused_beside_retrieval_rails() -> None:
    both = "rails: {{input: {{parallel: true, flows: [{0}]}}, retrieval: {{flows: [alknet firewall check retrieval]}}}}\n"
    app, model = application(PASSTHROUGH + both.format("naive input"), NAIVE, ANSWER)
    app.config.rails.input.parallel = True  # the adapter has switched it off
    run(app.generate_async(messages=user(ATTACKS["user"])))
    assert CANARY in "".join(model.prompts)
    app, model = application(PASSTHROUGH + both.format("alknet firewall check input"), None, ANSWER)
    assert run(app.generate_async(messages=user(ATTACKS["user"])))["content"] == REFUSAL
    assert not model.prompts


@pytest.mark.parametrize("place", ["thoughts", "answer"])
def test_thoughts_are_handed_out_with_the_refusal(place: str) -> None:
    from nemoguardrails.types import LLMResponse

    thoughts, answer = (
        (ATTACKS["response"], ANSWER) if place == "thoughts" else (f"{CANARY}...", ATTACKS["response"])
    )
    reply = LLMResponse(content=answer, reasoning=thoughts)
    config = f"config: {{regex_detection: {{output: {{patterns: [{CANARY}]}}}}}}"
    app, _ = application(
        f"{PASSTHROUGH}rails: {{{config}, output: {{flows: [regex check output]}}}}", None, reply
    )
    result = str(run(app.generate_async(messages=user("Hello"))))
    assert CANARY in result
    assert (REFUSAL in result) == (place == "answer")
    app, _ = application(GUARDED, None, reply)
    assert run(app.generate_async(messages=user("Hello"))) == {"role": "assistant", "content": REFUSAL}


def test_what_the_caller_sends_as_history_is_not_screened() -> None:
    history = [*user(ATTACKS["user"]), {"role": "assistant", "content": REFUSAL}, *user("And now?")]
    app, model = application(GUARDED, None, ANSWER)
    run(app.generate_async(messages=history))
    assert CANARY in "".join(model.prompts)  # see docs/hosts.md


def test_a_dropped_tool_call_stays_in_the_log_of_events() -> None:
    app, _ = application(GUARDED, None, tool_call(ATTACKS["response"]))
    result = run(app.generate_async(messages=user("Hello"), options={"log": {"internal_events": True}}))
    assert CANARY not in f"{result.response} {result.tool_calls}"
    assert CANARY in str(result.log.internal_events)  # see docs/hosts.md


def test_with_a_tool_output_rail_a_message_after_a_tool_exchange_has_no_answer() -> None:
    messages = [*tool_exchange(BENIGN["tool"]), {"role": "assistant", "content": ANSWER}, *user("And now?")]
    bare = PASSTHROUGH.replace("import_paths: [alknet_firewall_nemo]", "")
    naive = "define subflow nothing\n  $nothing = 1\n"
    for yaml, calls in ((bare, 1), (bare + rails("tool_output", "nothing"), 0)):
        app, model = application(yaml, naive, ANSWER)
        run(app.generate_async(messages=messages))
        assert len(model.prompts) == calls  # see docs/hosts.md


def test_a_refused_message_is_not_in_the_next_prompt() -> None:
    app, model = application(PLAIN + RAILS, None, ANSWER)
    messages = user(ATTACKS["user"])
    messages.append(run(app.generate_async(messages=messages)))
    messages += user("Then what is the time?")
    assert run(app.generate_async(messages=messages))["content"] == ANSWER
    assert CANARY not in "".join(model.prompts)


@pytest.mark.parametrize("system", [True, False])
def test_a_retriever_must_be_a_system_action(system: bool) -> None:
    yaml = f"{PLAIN}core: {{embedding_search_provider: {{name: fake}}}}\n{RAILS}"
    app, model = application(yaml, DIALOG, "  ask", f'  "{ANSWER}"')
    with_retriever(app, [CALM, ATTACKS["document"]], system=system)
    assert run(app.generate_async(messages=user("what is it")))["content"] == ANSWER
    prompts = "".join(model.prompts)
    assert CALM in prompts
    assert (CANARY in prompts) is not system  # see docs/hosts.md


def test_retrieval_rails_do_not_run_without_dialog_flows() -> None:
    class Knowledge:
        async def search_relevant_chunks(self, text: str) -> list[dict[str, str]]:
            return [{"body": ATTACKS["document"]}]

    app, model = application(PLAIN + RAILS, None, ANSWER)
    app.runtime.register_action_param("kb", Knowledge())
    app.register_action(asked := _Counting(), "alknet_firewall_filter_chunks")
    run(app.generate_async(messages=user("Hello")))
    assert len(model.prompts) == 1 and asked.times == 0  # see docs/hosts.md


class _Counting:
    times = 0

    def run(self, **_: object) -> None:
        self.times += 1


def test_an_action_that_raises_blocks_but_its_text_is_logged(
    caplog: pytest.LogCaptureFixture, faulty_plugins: None
) -> None:
    async def careless(content: str, **_: object) -> None:
        raise RuntimeError("oh")

    flow = "define subflow careless\n  execute careless(content=$user_message)\n"
    app, model = application(PASSTHROUGH + rails("input", "careless"), flow, ANSWER)
    app.register_action(careless, "careless")
    assert "internal error" in str(run(app.generate_async(messages=user(BENIGN["user"]))))
    assert CANARY in caplog.text
    caplog.clear()
    raising = settings(FirewallConfig(plugins=("contract_raising",), on_error="raise"))
    app, model = application(f"{raising}passthrough: true\n{RAILS}", None, ANSWER)
    with caplog.at_level(logging.WARNING):
        assert run(app.generate_async(messages=user(BENIGN["user"])))["content"] == REFUSAL
    assert CANARY not in caplog.text
    assert not model.prompts


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
def test_an_unknown_key_is_an_error_at_the_start_that_names_it(dialect: str) -> None:
    yaml = f"colang_version: '{dialect}'\nmodels: []\nimport_paths: [alknet_firewall_nemo]\n"
    colang = COLANG_2 if dialect == "2.x" else None
    for bad, named in (
        ("{max_tokns: 3}", "max_tokns"),
        ("{stream: perhaps}", "stream"),
        ("[1]", "alknet_firewall"),
    ):
        with pytest.raises(RuntimeError) as raised:
            application(f"{yaml}custom_data: {{alknet_firewall: {bad}}}\n", colang)
        assert isinstance(raised.value.__cause__, ConfigError)
        assert named in str(raised.value.__cause__)


def test_unknown_keys_under_rails_config_vanish() -> None:
    app, _ = application(f"{PLAIN}rails: {{config: {{alknet_firewall: {{max_tokns: 3}}}}}}\n")
    assert "max_tokns" not in str(app.config)  # why the settings lie under custom_data


def test_an_engine_that_cannot_be_loaded_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as raised:
        application(settings(FirewallConfig(codebook=tmp_path / "missing.safetensors")))
    assert isinstance(raised.value.__cause__, AlknetFirewallError)


def test_the_package_ships_no_rails_that_would_replace_the_users() -> None:
    import alknet_firewall_nemo

    assert not list(Path(alknet_firewall_nemo.__file__).parent.rglob("*.y*ml"))


@pytest.mark.parametrize("beside", [True, False], ids=["installed", "editable"])
def test_only_an_install_beside_nemo_is_found(beside: bool, tmp_path: Path) -> None:
    import nemoguardrails

    import alknet_firewall_nemo

    # NeMo looks beside itself: a folder that holds links to both looks to it like site-packages.
    (tmp_path / "nemoguardrails").symlink_to(Path(nemoguardrails.__file__).parent)
    if beside:
        (tmp_path / "alknet_firewall_nemo").symlink_to(Path(alknet_firewall_nemo.__file__).parent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        "from nemoguardrails import RailsConfig\n"
        "RailsConfig.from_content(yaml_content='{models: [], import_paths: [alknet_firewall_nemo]}')\n"
        "print('found')"
    )
    environment = {key: value for key, value in os.environ.items() if key != "COLANGPATH"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path[1:]])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )
    assert (ran.stdout.strip() == "found") is beside, ran.stderr
    assert beside or "could not be resolved" in ran.stderr


def test_the_probe_screens_through_the_host() -> None:
    from alknet_firewall_nemo import plugin

    (host,) = plugin.alknet_firewall_hosts()
    firewall = shared_firewall(FirewallConfig(plugins=()))
    assert run(host.probe(firewall, ATTACKS["user"]))
    assert not run(host.probe(firewall, BENIGN["user"]))


def test_discovery_imports_no_host() -> None:
    assert find_spec("alknet_firewall_nemo")
    code = "import sys, alknet_firewall_nemo.plugin as p; p.alknet_firewall_hosts(); print('nemoguardrails' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
