"""NeMo Guardrails in the contract suite: one application a Colang dialect, wired by its configuration alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from alknet_firewall import Action, FirewallConfig, shared_firewall
from tests.hosts.contract import Outcome, Slot

REFUSAL = "I'm sorry, I can't respond to that."
ANSWER = "Gladly, here is the answer."
CALM = "a calm chunk"
RESULT = "The parcel was delivered on Tuesday at noon."
"""What tools return beside the content: it must pass, else the content is not what is tested."""
RAILS = """
rails:
  input: {flows: [alknet firewall check input]}
  output: {flows: [alknet firewall check output], streaming: {enabled: true}}
  retrieval: {flows: [alknet firewall check retrieval]}
  tool_input: {flows: [alknet firewall check tool input]}
  tool_output: {flows: [alknet firewall check tool output]}
"""
DIALOG = """
define user ask
  "what is it"

define flow
  user ask
  bot answer
"""
COLANG_2 = """
import core
import guardrails

flow input rails $input_text
  alknet firewall check input

flow output rails $output_text
  alknet firewall check output

flow answer
  user said something
  global $user_message
  global $relevant_chunks_sep
  await FetchChunksAction()
  alknet firewall check retrieval
  $result = await CallToolAction()
  alknet firewall check tool input $result
  $reply = await AskModelAction(message=$user_message, result=$result, chunks=$relevant_chunks_sep)
  alknet firewall check tool output $reply["arguments"]
  await SendAction(arguments=$reply["arguments"])
  bot say $reply["text"]

flow main
  activate answer
"""


def find_flows() -> None:
    """Lets NeMo find the package's flows in a source tree: it looks only where it is installed itself."""
    from nemoguardrails.rails.llm import config

    import alknet_firewall_nemo

    folder = str(Path(alknet_firewall_nemo.__file__).parents[1])
    if folder not in config.colang_path_dirs:
        config.colang_path_dirs.append(folder)


def settings(config: FirewallConfig) -> str:
    own = config.model_dump(mode="json", exclude_defaults=True)
    return f"models: []\nimport_paths: [alknet_firewall_nemo]\ncustom_data: {{alknet_firewall: {json.dumps(own)}}}\n"


def fake_model(*replies: Any) -> Any:
    """NeMo's fake model, which keeps what it was given in `prompts`."""
    from nemoguardrails.testing.fake_model import FakeLLMModel
    from nemoguardrails.types import LLMResponse

    class Recording(FakeLLMModel):
        def __init__(self) -> None:
            given = [LLMResponse(content=each) if isinstance(each, str) else each for each in replies]
            super().__init__(llm_responses=given)
            self.prompts: list[str] = []

        async def generate_async(self, prompt: Any, **options: Any) -> Any:
            self.prompts.append(repr(prompt))
            return await super().generate_async(prompt, **options)

        async def stream_async(self, prompt: Any, **options: Any) -> AsyncIterator[Any]:
            self.prompts.append(repr(prompt))
            async for chunk in super().stream_async(prompt, **options):
                yield chunk

    return Recording()


def writing_model(source: AsyncIterable[str]) -> Any:
    """A model that writes what the source yields."""
    from nemoguardrails.types import LLMResponseChunk

    model = fake_model()

    async def stream_async(prompt: Any, **options: Any) -> AsyncIterator[Any]:
        async for piece in source:
            yield LLMResponseChunk(delta_content=piece)

    model.stream_async = stream_async
    return model


def application(yaml: str, colang: str | None = None, *replies: Any) -> tuple[Any, Any]:
    """The rails and their fake model."""
    from nemoguardrails import LLMRails, RailsConfig

    find_flows()
    model = fake_model(*replies)
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=model), model


def with_retriever(app: Any, chunks: list[Any], system: bool = True) -> None:
    """A retriever that finds these chunks, and an index that needs no embedding model."""
    from nemoguardrails.actions import action
    from nemoguardrails.actions.actions import ActionResult
    from nemoguardrails.embeddings.index import EmbeddingsIndex

    class EverythingMatches(EmbeddingsIndex):
        def __init__(self, **_: Any) -> None:
            self.items: list[Any] = []

        async def add_items(self, items: list[Any]) -> None:
            self.items += items

        async def build(self) -> None:
            pass

        async def search(self, text: str, max_results: int = 20, threshold: float | None = None) -> list[Any]:
            return self.items[:max_results]

    @action(is_system_action=system)
    async def retrieve() -> ActionResult:
        update = {"relevant_chunks": "\n".join(chunks), "relevant_chunks_sep": chunks}
        return ActionResult(update["relevant_chunks"], context_updates=update)

    app.register_embedding_search_provider("fake", EverythingMatches)
    app.register_action(retrieve, "retrieve_relevant_chunks")


def tool_exchange(*results: object) -> list[dict[str, Any]]:
    """A conversation that ends with the results of tools."""
    function = {"name": "look_up", "arguments": {}}
    calls = [{"id": f"call_{i}", "type": "function", "function": function} for i in range(len(results))]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Please look it up."}]
    messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    for call, result in zip(calls, results):
        messages.append({"role": "tool", "tool_call_id": call["id"], "name": "look_up", "content": result})
    return messages


def tool_call(content: object, name: str = "send_mail", argument: str = "body") -> Any:
    """A model's answer that calls a tool with the content as argument."""
    from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction

    function = ToolCallFunction(name, {argument: content})
    return LLMResponse(content="", tool_calls=[ToolCall("call_1", function=function)])


async def in_pieces(text: str) -> AsyncIterator[str]:
    for start in range(0, len(text), 7):
        yield text[start : start + 7]


@lru_cache(maxsize=64)
def _cached(slot: str, yaml: str) -> tuple[Any, Any]:
    # Building takes a moment and stops the event loop; only what differs is put in for each run.
    if slot == "2.x":
        return application(f"colang_version: 2.x\n{yaml}", COLANG_2)
    if slot == "retrieval":
        return application(f"{yaml}core: {{embedding_search_provider: {{name: fake}}}}\n{RAILS}", DIALOG)
    return application(f"{yaml}passthrough: true\n{RAILS}")


class Nemo:
    name = "nemo"
    requires = ("nemoguardrails", "alknet_firewall_nemo")
    slots = (
        Slot("input", "user"),
        Slot("retrieval", "document", parts=False),
        Slot("tool input", "tool"),
        Slot("tool output", "response", parts=False),
        Slot("output", "response", parts=False),
        Slot("streamed output", "response", parts=False),
        Slot("input, Colang 2", "user"),
        Slot("retrieval, Colang 2", "document", parts=False),
        Slot("tool input, Colang 2", "tool"),
        Slot("tool output, Colang 2", "response", parts=False),
        Slot("output, Colang 2", "response", parts=False),
    )
    review = Action.BLOCK
    streams = ("streamed output", "streamed output, guarded")

    async def run(self, slot: str, content: object, config: FirewallConfig) -> Outcome:
        # A task of its own: NeMo keeps things in context variables that the next call would find.
        kind, _, dialect = slot.partition(", ")
        run = _colang_2(kind, content, config) if dialect else _colang_1(kind, content, config)
        return await asyncio.create_task(run)

    async def run_stream(
        self, slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
    ) -> bool:
        return await asyncio.create_task(_stream(slot, source, config, show))


async def _stream(
    slot: str, source: AsyncIterable[str], config: FirewallConfig, show: Callable[[str, str], None]
) -> bool:
    from nemoguardrails.streaming import StreamingHandler

    app, _ = _cached("1.0", settings(config))
    app.events_history_cache.clear()
    app.update_llm(writing_model(source))
    messages = [{"role": "user", "content": "Good morning."}]
    if slot == "streamed output":
        stopped = False
        async for piece in app.stream_async(messages=messages):
            stopped |= "content_blocked" in piece
            show("" if piece.startswith('{"error"') else piece, piece)
        return stopped
    handler = StreamingHandler()  # as the adapter's README tells
    run = asyncio.create_task(app.generate_async(messages=messages, streaming_handler=handler))
    guarded = shared_firewall(config).guard_stream(handler)
    async for piece in guarded:
        show("" if piece.startswith('{"error"') else piece, piece)
    await run
    return guarded.stopped is not None


async def _colang_1(kind: str, content: object, config: FirewallConfig) -> Outcome:
    app, _ = _cached("retrieval" if kind == "retrieval" else "1.0", settings(config))
    app.events_history_cache.clear()
    replies: dict[str, list[Any]] = {
        "output": [content],
        "tool output": [tool_call(content, "", "")],  # names are screened as well, and would count
        "retrieval": ["  ask", f'  "{ANSWER}"'],
    }
    fresh = fake_model(*replies.get(kind, [ANSWER]))
    app.update_llm(fresh)
    messages = [{"role": "user", "content": content if kind == "input" else "Good morning."}]
    if kind == "streamed output":
        streamed = app.stream_async(messages=messages, generator=in_pieces(str(content)))
        returned = "".join([piece async for piece in streamed])
        return Outcome(_action("content_blocked" in returned), "", returned)
    if kind == "retrieval":
        with_retriever(app, [CALM, content])
    if kind == "tool input":
        messages = tool_exchange(RESULT, content, RESULT)
    result = await app.generate_async(messages=messages, options={"output_vars": ["relevant_chunks_sep"]})
    kept = (result.output_data or {}).get("relevant_chunks_sep")
    blocked = kept == [CALM] if kind == "retrieval" else REFUSAL in repr(result.response)
    return Outcome(_action(blocked), "".join(fresh.prompts), repr(result))


async def _colang_2(kind: str, content: object, config: FirewallConfig) -> Outcome:
    from nemoguardrails.actions.actions import ActionResult

    app, _ = _cached("2.x", settings(config))
    seen: list[str] = []
    sent: list[str] = []
    chunks = [CALM, content] if kind == "retrieval" else [CALM]

    async def fetch_chunks() -> ActionResult:
        update = {"relevant_chunks": "\n".join(map(str, chunks)), "relevant_chunks_sep": chunks}
        return ActionResult(None, context_updates=update)

    async def call_tool() -> object:
        return content if kind == "tool input" else RESULT

    async def ask_model(**everything: object) -> dict[str, object]:
        seen.append(repr(everything))
        text, arguments = (
            (content, "") if kind == "output" else (ANSWER, content if kind == "tool output" else "")
        )
        return {"text": text, "arguments": arguments}

    async def send(arguments: object) -> None:
        sent.append(repr(arguments))

    app.register_action(fetch_chunks, "FetchChunksAction")
    app.register_action(call_tool, "CallToolAction")
    app.register_action(ask_model, "AskModelAction")
    app.register_action(send, "SendAction")
    message = {"role": "user", "content": content if kind == "input" else "Good morning."}
    result = await app.generate_async(messages=[message])
    blocked = (
        CALM in seen[0] and repr(content) not in seen[0] if kind == "retrieval" else REFUSAL in repr(result)
    )
    return Outcome(_action(blocked), "".join(seen), repr(result) + "".join(sent))


def _action(blocked: bool) -> Action:
    return Action.BLOCK if blocked else Action.ALLOW


HOST = Nemo()
