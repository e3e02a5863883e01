"""`/v1/stream`, by WebSocket in this process; by a body that goes on, see test_serve_process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from alknet_firewall.config import FirewallConfig
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.keys import ApiKeys
from tests.serving import ATTACK, BENIGN, KEY, client, total, until

PAGE = f"{BENIGN}. " * 30


@pytest.fixture
def own(settings: Path) -> Iterator[TestClient]:
    with client(
        Firewall.from_config(settings), max_stream_bytes=20_000, max_streams=2, idle_seconds=1
    ) as made:
        yield made


def talk(own: TestClient, query: str, *pieces: str) -> tuple[list[dict[str, Any]], int]:
    """The events of a stream, and the code that it was closed with."""
    found: list[dict[str, Any]] = []
    with own.websocket_connect(f"/v1/stream?{query}") as socket:
        for piece in pieces:
            socket.send_json({"text": piece})
        socket.send_json({"end": True})
        try:
            while True:
                found.append(socket.receive_json())
        except WebSocketDisconnect as closed:
            return found, closed.code


@pytest.mark.parametrize("text", [BENIGN, ATTACK, PAGE, PAGE + ATTACK + PAGE, "", "\U0001f642 pair"])
def test_the_last_verdict_is_that_on_the_whole_text(own: TestClient, settings: Path, text: str) -> None:
    pieces = [text[i : i + 7] for i in range(0, len(text), 7)]
    found, code = talk(own, "channel=tool", *pieces)
    assert found[-1]["event"] == "end" and code == 1000
    assert found[-1]["verdict"] == Firewall.from_config(settings).screen(text, "tool").to_dict()
    assert {one["event"] for one in found[:-1]} <= {"verdict"}


def test_what_is_held_back_goes_on_once_it_is_screened(own: TestClient) -> None:
    found, code = talk(own, "hold_back=block", PAGE, "and the end")
    assert "".join(one["text"] for one in found if one["event"] == "text") == f"{PAGE}and the end"
    assert found[-1]["event"] == "end" and code == 1000
    found, code = talk(own, "hold_back=block", PAGE, ATTACK, PAGE)
    gone = "".join(one["text"] for one in found if one["event"] == "text")
    assert found[-1]["event"] == "stopped" and found[-1]["verdict"]["flagged"] and code == 1000
    assert "zzzz" not in gone and PAGE.startswith(gone)
    found, _ = talk(own, "hold_back=redact&channel=tool", f"{PAGE}{ATTACK}. {PAGE}")
    gone = "".join(one["text"] for one in found if one["event"] == "text")
    assert "zzzz" not in gone and found[-1]["event"] == "end"


def test_text_goes_on_after_the_delay_that_was_asked_for(own: TestClient) -> None:
    with own.websocket_connect("/v1/stream?hold_back=block&max_delay_ms=100") as socket:
        socket.send_json({"text": f"{BENIGN} "})
        found = [socket.receive_json()]
        while found[-1]["event"] != "text":  # nothing else is sent: the time alone lets it go
            found.append(socket.receive_json())
        assert found[-1]["text"] == f"{BENIGN} "


@pytest.mark.parametrize(
    ("query", "named"),
    [("chanel=user", "chanel"), ("channel=email", "channel"), ("look_ahead=0", "look_ahead"), ("clear_rate=2", "clear_rate")],
)  # fmt: skip
def test_a_wrong_address_is_explained(own: TestClient, query: str, named: str) -> None:
    with own.websocket_connect(f"/v1/stream?{query}") as socket:
        told = socket.receive_json()
        assert told["event"] == "error" and told["status"] == 422 and named in told["detail"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1007
    assert own.post(f"/v1/stream?{query}", content="x").status_code == 422


@pytest.mark.parametrize("message", ["no JSON", "[1]", '{"text": 3}', '{"texts": "x"}', "[" * 100_000])
def test_a_malformed_message_ends_the_stream(own: TestClient, message: str) -> None:
    with own.websocket_connect("/v1/stream") as socket:
        socket.send_text(message)
        told = socket.receive_json()
        assert (told["event"], told["status"], told["error"]) == ("error", 422, "malformed")


def test_a_stream_is_bounded_in_length_and_in_silence(own: TestClient) -> None:
    found, code = talk(own, "", "a" * 15_000, "b" * 5_001)
    assert found[-1]["error"] == "too-large" and code == 1009
    with own.websocket_connect("/v1/stream") as socket:
        told = socket.receive_json()
        assert told["error"] == "slow" and told["status"] == 408


def test_streams_are_counted_and_no_more_than_allowed(own: TestClient) -> None:
    def opened() -> float:
        return total(own.get("/metrics").text, "alknet_firewall_streams_open")

    with own.websocket_connect("/v1/stream") as one, own.websocket_connect("/v1/stream") as two:
        one.send_json({"text": "a"})
        two.send_json({"text": "a"})
        until(lambda: opened() == 2)
        with own.websocket_connect("/v1/stream") as three:
            told = three.receive_json()
            assert told["error"] == "overloaded" and told["status"] == 503
        answer = own.post("/v1/stream", content="x")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    until(lambda: opened() == 0)
    assert talk(own, "", "a")[0][-1]["event"] == "end"


def test_a_fault_is_an_error_and_not_an_end(settings: Path) -> None:
    firewall = Firewall(FirewallConfig.from_file(settings, on_error="allow")).warm_up()
    with client(firewall) as own:
        firewall.engine.assessed = firewall.engine.assessed_growing = _fail  # type: ignore[method-assign]
        found, code = talk(own, "", BENIGN)
    assert found[-1]["event"] == "error" and found[-1]["status"] == 500 and code == 1011
    assert found[-1]["verdict"]["error"] == "RuntimeError" and "canary" not in str(found)


def test_a_fault_is_an_error_where_the_policy_is_to_raise(settings: Path) -> None:
    firewall = Firewall(FirewallConfig.from_file(settings, on_error="raise")).warm_up()
    with client(firewall) as own:
        firewall.engine.assessed = firewall.engine.assessed_growing = _fail  # type: ignore[method-assign]
        found, code = talk(own, "", BENIGN)
        lines = own.post("/v1/stream", content=BENIGN).text.strip().splitlines()
    for last in (found[-1], json.loads(lines[-1].removeprefix("data: "))):
        assert last["event"] == "error" and last["status"] == 500 and "canary" not in str(last)
    assert code == 1011


def test_a_socket_whose_handler_fails_is_closed(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alknet_firewall.serve.streaming.timed", _fail)
    with client(Firewall.from_config(settings)) as own:
        assert talk(own, "", BENIGN) == ([], 1011)


def _fail(*_: object, **__: object) -> Any:
    raise RuntimeError("canary")


def test_a_stream_needs_the_key_too(settings: Path) -> None:
    with client(Firewall.from_config(settings), keys=ApiKeys.read(KEY, "keys")) as own:
        with pytest.raises(WebSocketDenialResponse) as refused, own.websocket_connect("/v1/stream"):
            pass
        assert refused.value.status_code == 401 and refused.value.json()["error"] == "unauthorized"
        with own.websocket_connect("/v1/stream", headers={"x-api-key": KEY}) as socket:
            socket.send_json({"text": BENIGN, "end": True})
            assert socket.receive_json()["event"] in ("verdict", "end")
