"""The playground's addresses: the same verdict as the firewall's, and nobody from elsewhere."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from alknet_firewall.config import FirewallConfig
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.playground.reading import Reading
from alknet_firewall.serve.playground.router import MOST_CHARS, playground_router

HERE = "http://127.0.0.1:8642"
THRESHOLDS = {"block": 0.01, "review": 0.02}
TEXTS = ("what is the capital of France?", "zz " * 400, "", " ", "a\ud800b \U0001f642 zz", "x" * 5000 + " zzzz")


@pytest.fixture
def tiny_firewall(settings: Path) -> Firewall:
    """To which many letters z are an attack."""
    return Firewall(FirewallConfig.from_file(settings))


@pytest.fixture
def client(tiny_firewall: Firewall) -> TestClient:
    app = FastAPI()
    app.include_router(playground_router(tiny_firewall))
    return TestClient(app, base_url=HERE, client=("127.0.0.1", 50000))


def ask(client: TestClient, text: str, **more: Any) -> list[dict[str, Any]]:
    body = json.dumps({"text": text, "channel": "user", **THRESHOLDS, **more})  # with lone surrogates, as browsers do
    response = client.post("/playground/read", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


@pytest.mark.parametrize("text", TEXTS)
def test_the_verdict_is_that_of_the_firewall(client: TestClient, tiny_firewall: Firewall, text: str) -> None:
    answer = ask(client, text)[-1]
    assert answer["verdict"] == tiny_firewall.screen(text, "user").to_dict()


def test_tokens_are_ranges_of_the_text_and_add_up_to_what_was_read(tiny_firewall: Firewall) -> None:
    text = "One sentence, and zz \U0001f642 another. " * 12
    reading = Reading(tiny_firewall.engine, text, "document")
    assert len(list(reading.steps())) < 20
    tokens = reading.shown(0.01, 0.02)["tokens"]["injection"]
    assert tokens[0][0] == 0
    assert tokens[-1][1] <= len(text)
    assert all(start < end for start, end, _ in tokens)
    assert all(before[0] < after[0] for before, after in zip(tokens, tokens[1:])), "each place once"


def test_a_long_text_tells_how_far_it_is(client: TestClient) -> None:
    lines = ask(client, "a harmless sentence. " * 200)
    assert len(lines) > 2
    assert [line["read"] for line in lines[:-1]] == sorted(line["read"] for line in lines[:-1])
    assert all(line["read"] < line["windows"] for line in lines[:-1])
    assert "nearest" in lines[-1]


def test_thresholds_decide_without_reading_again(client: TestClient, tiny_firewall: Firewall) -> None:
    text = "what is the capital of France?"
    rate = ask(client, text)[-1]["verdict"]["false_alarm_rate"]
    assert 0 < rate < 1
    engine, read = tiny_firewall.engine, []
    engine.detector.model.begin, begin = lambda batch: read.append(batch), engine.detector.model.begin
    try:
        assert ask(client, text, block=rate / 2, review=rate / 2)[-1]["verdict"]["action"] == "allow"
        assert ask(client, text, block=rate / 2, review=1.0)[-1]["verdict"]["action"] == "review"
        assert ask(client, text, block=1.0, review=1.0)[-1]["verdict"]["action"] == "block"
    finally:
        engine.detector.model.begin = begin
    assert read == []


def test_a_fault_becomes_a_verdict_by_policy_and_quotes_nothing(tiny_firewall: Firewall) -> None:
    engine = tiny_firewall.engine

    def fail(batch: object) -> None:
        raise RuntimeError("cannot read the secret text")

    engine.detector.model.begin, begin = fail, engine.detector.model.begin
    try:
        reading = Reading(engine, "the secret text", "user")
        list(reading.steps())
        shown = reading.shown(0.01, 0.02)
    finally:
        engine.detector.model.begin = begin
    assert shown["verdict"]["action"] == "block"
    assert shown["verdict"]["error"] == "RuntimeError"
    assert "secret" not in json.dumps(shown)


def test_about_tells_what_thresholds_mean(client: TestClient, tiny_firewall: Firewall) -> None:
    told = client.get("/playground/about.json").json()
    table = tiny_firewall.engine.codebook.combined["tool"]
    for evidence, rate in told["channels"]["tool"]["curve"][::20]:
        assert table.rate(evidence) == pytest.approx(rate, rel=0.02)
    assert told["recall"] == [], "nothing is stored in this codebook"
    assert len(told["examples"]) >= 6


@pytest.mark.parametrize("path", ["", "app.js", "ask.js", "dials.js", "show.js", "style.css", "icon.svg"])
def test_assets_carry_the_headers(client: TestClient, path: str) -> None:
    response = client.get(f"/playground/{path}")
    assert response.status_code == 200
    assert response.headers["content-security-policy"].startswith("default-src 'self'")
    assert "access-control-allow-origin" not in response.headers
    assert "http://" not in response.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in response.text
    assert "innerHTML" not in response.text


@pytest.mark.parametrize("name", ["..%2frouter.py", "router.py", "examples.json", "%2e%2e/%2e%2e/app.py"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/playground/{name}").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "evil.example:8642"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::1]:8642"}, 200),
        ({"host": "LOCALHOST:8642"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": HERE}, 200),
    ],
)
def test_only_a_page_from_here_may_ask(client: TestClient, headers: dict[str, str], status: int) -> None:
    response = client.get("/playground/about.json", headers=headers)
    assert response.status_code == status
    assert status == 200 or set(response.json()) == {"error", "detail", "hint"}


def test_only_this_machine_may_ask(tiny_firewall: Firewall) -> None:
    app = FastAPI()
    app.include_router(playground_router(tiny_firewall))
    stranger = TestClient(app, base_url=HERE, client=("192.0.2.7", 50000))
    assert stranger.get("/playground/").status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"text": 1, "channel": "user", "block": 0.1, "review": 0.1}', "application/json", 422),
        (b'{"text": "", "channel": "x", "block": 0.1, "review": 0.1}', "application/json", 422),
        (b'{"text": "", "channel": [], "block": 0.1, "review": 0.1}', "application/json", 422),
        (b'{"text": "", "channel": "user", "block": 0.2, "review": 0.1}', "application/json", 422),
        (b'{"text": "", "channel": "user", "block": NaN, "review": NaN}', "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * (8 * MOST_CHARS + 1), "application/json", 413),
        (json.dumps({"text": "x" * (MOST_CHARS + 1), "channel": "user", **THRESHOLDS}).encode(), "application/json", 413),
    ],
)
def test_what_is_malformed_gets_a_way_on(client: TestClient, body: bytes, kind: str, status: int) -> None:
    response = client.post("/playground/read", content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert set(response.json()) == {"error", "detail", "hint"}


def test_the_command_serves_the_page(settings: Path) -> None:
    program = "from alknet_firewall.cli import main; main()"
    command = [sys.executable, "-c", program, "playground", "--port", "0", "--no-browser", "--config", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            address = running.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"alknet-firewall playground" in page.read()
            stranger = urllib.request.Request(
                address.replace("/playground/", "/v1/screen"), b"{}", {"Host": "evil.example"}
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(stranger, timeout=60)
            assert refused.value.code == 421
        finally:
            running.terminate()


def test_a_port_in_use_is_named() -> None:
    from alknet_firewall.cli.playground import _listening
    from alknet_firewall.errors import ConfigError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .* --port 0"):
            _listening(port)


def test_examples_are_what_their_names_say(firewall: Firewall) -> None:
    folder = Path(sys.modules[playground_router.__module__].__file__ or "").parent
    examples = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    flagged = {one["name"] for one in examples if firewall.screen(one["text"], one["channel"]).flagged}
    harmless = {"A question", "Harmless, though it sounds alike", "A page about attacks"}
    assert flagged == {one["name"] for one in examples} - harmless
