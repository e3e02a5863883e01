"""The server's routes, in this process: answers, refusals, and what becomes of faults."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient

from alknet_firewall.config import FirewallConfig
from alknet_firewall.errors import ConfigError
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve import bodies
from alknet_firewall.serve.app import create_app
from alknet_firewall.serve.keys import ApiKeys
from alknet_firewall.serve.moderations import OPENAI_CATEGORIES
from alknet_firewall.serve.settings import ServeSettings
from tests.serving import ATTACK, BENIGN, KEY, client, until

_JSON = {"content-type": "application/json"}
KEYS = ApiKeys.read(f"# ours\n{KEY}\nanother-key-of-theirs\n", "keys")


@pytest.fixture
def own(settings: Path) -> Iterator[TestClient]:
    with client(Firewall.from_config(settings)) as made:
        yield made


def broken(settings: Path, policy: str) -> Firewall:
    """A firewall that fails at every text with a message that quotes it."""
    firewall = Firewall(FirewallConfig.from_file(settings, on_error=policy)).warm_up()

    def judge(texts: list[str], *_: object, **__: object) -> list[Any]:
        if texts != [" warm up"]:
            raise RuntimeError(f"cannot read {texts}")
        return []

    firewall.engine.judge = judge  # type: ignore[method-assign, assignment]
    return firewall


def test_a_text_is_screened_as_by_the_library(own: TestClient, settings: Path) -> None:
    firewall = Firewall.from_config(settings)
    for text, channel in (
        (ATTACK, "document"),
        (BENIGN, "user"),
        ("", "tool"),
        ("half a pair \ud83d", "response"),
    ):
        answer = own.post("/v1/screen", content=json.dumps({"text": text, "channel": channel}), headers=_JSON)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told == firewall.screen(text, channel).to_dict()
        check_fields(told)


def test_a_batch_keeps_its_order_and_its_channels(own: TestClient, settings: Path) -> None:
    items = [{"text": f"{ATTACK if i % 3 == 0 else BENIGN} {i}", "channel": "tool"} for i in range(150)]
    told = own.post("/v1/screen:batch", json={"items": items}).json()["verdicts"]
    firewall = Firewall.from_config(settings)
    assert told == [one.to_dict() for one in firewall.screen_many([item["text"] for item in items], "tool")]


def test_explaining_tells_the_nearest_evidence_of_what_raises_no_alarm(own: TestClient) -> None:
    told = own.post("/v1/screen", json={"text": BENIGN, "explain": True}).json()
    assert told["alarms"] == [] and told["nearest"][0]["action"] == "allow"
    assert sum(told["nearest"][0]["contributions"].values()) == pytest.approx(told["nearest"][0]["evidence"])
    assert own.post("/v1/screen", json={"text": ATTACK, "explain": True}).json()["nearest"] == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"text": "x", "chanel": "user"}', "body.chanel"),
        ('{"text": "x", "a b <script>": "user"}', "body.?"),
        ('{"text": 3}', "body.text"),
        ('{"text": "x", "channel": "email"}', "body.channel"),
        ("{}", "body.text"),
        ('{"text": "secret', "body.9"),
        ("[" * 100_000, None),
        ("\xff", None),
    ],
)
def test_what_is_malformed_is_named_and_not_repeated(own: TestClient, body: str, where: str | None) -> None:
    answer = own.post("/v1/screen", content=body.encode("latin-1"), headers=_JSON)
    told = answer.json()
    assert answer.status_code in ((422,) if where else (400, 422)), told
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"status", "error", "detail", "hint"} <= set(told) and "secret" not in answer.text
    if where:
        assert told["places"][0]["where"] == where


def test_what_is_too_much_is_refused(settings: Path) -> None:
    with client(Firewall.from_config(settings), max_bytes=1000, max_texts=3) as own:
        assert own.post("/v1/screen", json={"text": "a" * 900}).status_code == 200
        read: list[int] = []

        def pieces() -> Iterator[bytes]:  # without Content-Length
            for i in range(100):
                read.append(i)
                yield b"a" * 100

        for content in (b"a" * 1001, pieces()):
            answer = own.post("/v1/screen", content=content, headers=_JSON)
            assert answer.status_code == 413 and answer.json()["error"] == "too-large", answer.text
        answer = own.post("/v1/screen:batch", json={"items": [{"text": "x"}] * 4})
        assert answer.status_code == 413 and answer.json()["error"] == "too-many"
        assert own.post("/v1/moderations", json={"input": ["x"] * 4}).status_code == 413


def test_too_many_requests_at_a_time_are_refused(settings: Path) -> None:
    firewall = Firewall.from_config(settings).warm_up()
    judge, go, inside = firewall.engine.judge, threading.Event(), threading.Event()

    def slow(*given: Any, **named: Any) -> Any:
        inside.set()
        go.wait(30)
        return judge(*given, **named)

    with client(firewall, max_in_flight=1) as own:
        firewall.engine.judge = slow  # type: ignore[method-assign]
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(_screen(own).status_code))
        asking.start()
        assert inside.wait(30)
        refused = _screen(own)
        assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
        assert own.get("/healthz").status_code == own.get("/readyz").status_code == 200
        go.set()
        asking.join()
        assert answers == [200] and _screen(own).status_code == 200


def _screen(own: TestClient, text: str = BENIGN) -> Any:
    return own.post("/v1/screen", json={"text": text})


@pytest.mark.parametrize("policy", ["block", "review", "allow", "raise"])
def test_a_fault_is_never_answered_with_200(
    settings: Path, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = "canary-3141592"
    with client(broken(settings, policy)) as own, caplog.at_level(logging.DEBUG):
        answers = [
            own.post("/v1/screen", json={"text": text}),
            own.post("/v1/screen:batch", json={"items": [{"text": text}]}),
            own.post("/v1/moderations", json={"input": text}),
        ]
        proxied = own.post("/ext_authz/x", content=text)
        for answer in answers:
            assert answer.status_code == 500 and answer.json()["error"] == "fault", answer.text
        if policy != "raise":
            assert answers[0].json()["verdict"]["action"] == policy
            assert answers[1].json()["verdicts"][0]["error"] == "RuntimeError"
        # A proxy may be told to pass on what could not be judged, so a policy that denies must not look like that.
        assert proxied.status_code == (403 if policy in ("block", "review") else 500)
        assert all("canary" not in answer.text for answer in (*answers, proxied))
    assert "canary" not in caplog.text


def test_a_text_that_takes_too_long_gets_504(settings: Path) -> None:
    firewall = Firewall.from_config(settings).warm_up()
    go = threading.Event()
    judge = firewall.engine.judge
    with client(firewall, deadline_ms=50) as own:
        firewall.engine.judge = lambda *given, **named: go.wait(30) and judge(*given, **named)  # type: ignore
        answer = _screen(own)
        assert answer.status_code == 504 and answer.json()["error"] == "deadline", answer.text
        assert answer.json()["verdict"]["action"] == "block"
        go.set()


def test_a_full_queue_gets_503(settings: Path) -> None:
    config = FirewallConfig.from_file(settings, max_waiting=1)
    with client(Firewall(config)) as own:
        answer = own.post("/v1/screen:batch", json={"items": [{"text": f"{BENIGN} {i}"} for i in range(64)]})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "1", answer.text
        assert {one["action"] for one in answer.json()["verdicts"] if one["error"]} == {"block"}


def test_only_those_with_a_key_are_answered(settings: Path) -> None:
    with client(Firewall.from_config(settings), keys=KEYS) as own:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Basic {KEY}"},
            {"x-api-key": "ü"},
        ):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            for path in (
                "/v1/screen",
                "/v1/moderations",
                "/ext_authz",
                "/v1/stream",
                "/metrics",
                "/openapi.json",
            ):
                answer = own.post(path, headers=encoded)  # type: ignore[arg-type]
                assert answer.status_code == 401 and "X-API-Key" in answer.json()["hint"]
        for headers in ({"authorization": f"bearer {KEY}"}, {"x-api-key": "another-key-of-theirs"}):
            assert own.post("/v1/screen", json={"text": BENIGN}, headers=headers).status_code == 200
        assert own.get("/healthz").status_code == own.get("/readyz").status_code == 200


def test_keys_are_checked_when_they_are_read(tmp_path: Path) -> None:
    for content, told in (
        ("", "there is no key"),
        ("short", "line 1"),
        (f"{KEY}\nwith a space in it", "line 2"),
    ):
        with pytest.raises(ConfigError, match=told) as raised:
            ApiKeys.read(content, "keys")
        assert "space in it" not in str(raised.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        ApiKeys.from_file(tmp_path / "none")
    assert KEY not in repr(KEYS) and not ApiKeys() and ApiKeys().allow(None)
    assert KEYS.allow(KEY.encode()) and not KEYS.allow(b"") and not KEYS.allow(None)


def test_pages_from_elsewhere_are_refused(own: TestClient) -> None:
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        answer = own.post("/v1/screen", json={"text": "x"}, headers={"origin": origin})
        assert answer.status_code == 403 and answer.json()["error"] == "other-origin"
    assert (
        own.post("/v1/screen", json={"text": "x"}, headers={"origin": "http://testserver"}).status_code == 200
    )


def test_names_of_strangers_are_refused_where_there_is_no_key(settings: Path) -> None:
    with client(Firewall.from_config(settings), local_names_only=True) as own:
        for host, status in (
            ("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.example:8080", 421), ("[", 421),
        ):  # fmt: skip
            answer = own.post("/v1/screen", json={"text": "x"}, headers={"host": host})
            assert answer.status_code == status, host
        assert own.post("/ext_authz", content=BENIGN, headers={"host": "api.example.com"}).status_code == 200
        assert own.get("/readyz", headers={"host": "10.0.0.7:8080"}).status_code == 200


def test_moderations_look_like_those_of_openai(own: TestClient) -> None:
    told = own.post(
        "/v1/moderations", json={"input": [ATTACK, BENIGN], "model": "omni-moderation-latest"}
    ).json()
    assert told["model"] == "omni-moderation-latest" and told["id"].startswith("modr-")
    attack, benign = told["results"]
    assert attack["flagged"] and not benign["flagged"]
    assert attack["categories"]["injection"] or attack["categories"]["jailbreak"]
    for result in (attack, benign):
        assert set(OPENAI_CATEGORIES) <= set(result["categories"]) == set(result["category_scores"])
        assert not any(result["categories"][name] for name in OPENAI_CATEGORIES)
    parts = [{"type": "text", "text": "zzzz zzzz zzzz"}, {"type": "text", "text": "zzzz zzzz"}]
    assert len(own.post("/v1/moderations", json={"input": parts}).json()["results"]) == 1
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    for given in ([], [1], ["x", {}], [picture], [*parts, picture], {"x": 1}, None):
        assert own.post("/v1/moderations", json={"input": given}).status_code == 422, given


def test_it_is_ready_only_when_it_is_loaded(settings: Path, caplog: pytest.LogCaptureFixture) -> None:
    firewall = Firewall.from_config(settings)
    warm_up, tries = firewall.warm_up, threading.Event()

    def slow() -> Firewall:
        tries.wait(30)
        return warm_up()

    firewall.warm_up = slow  # type: ignore[method-assign]
    with TestClient(create_app(firewall)) as own:
        answer = own.get("/readyz")
        assert answer.status_code == 503 and answer.json()["error"] == "not-ready"
        assert own.get("/healthz").json() == {"status": "alive"}
        tries.set()
        until(lambda: own.get("/readyz").status_code == 200)
        assert own.get("/readyz").json()["backend"] == "onnxruntime"


def test_openapi_has_examples_that_are_answered(own: TestClient) -> None:
    told = own.get("/openapi.json").json()
    for path in ("/v1/screen", "/v1/screen:batch", "/v1/moderations"):
        body = told["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            assert own.post(path, json=example["value"]).status_code == 200, (path, example)
        assert {"401", "413", "422", "503"} <= set(told["paths"][path]["post"]["responses"])
    defined, used = set(told["components"]["schemas"]), json.dumps(told)
    assert set(re.findall(r"#/components/schemas/(\w+)", used)) <= defined
    for example in bodies.VERDICT_EXAMPLES["content"]["application/json"]["examples"].values():
        check_fields(example["value"])


def check_fields(told: dict[str, Any]) -> None:
    """The fields of a verdict are those that OpenAPI promises, no more and no fewer."""
    bodies.VerdictBody.model_validate(told)
    assert set(told) == set(bodies.VerdictBody.model_fields) - {"nearest"}
    for alarm in told["alarms"]:
        assert set(alarm) == set(bodies.AlarmBody.model_fields)


def test_settings_come_from_the_environment_and_are_checked(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    read = ServeSettings.from_environment(
        {
            "ALKNET_SERVE_MAX_BYTES": "2048", "ALKNET_SERVE_DEADLINE_MS": "none", "ALKNET_SERVE_OTEL": "false",
            "ALKNET_SERVE_AUDIT_LOG": "x.jsonl", "ALKNET_SERVE_API_KEYS": "key-number-one-is-long,key-number-two-is-long",
            "ALKNET_SERVE_API_KEY_FILE": str(tmp_path / "keys"), "ALKNET_SERVE_IDLE_SECONDS": "2.5",
            "ALKNET_SERVE_EXT_AUTHZ_CHANNEL": "tool", "ALKNET_SERVE_MAX_TEXTS": "",
        }
    )  # fmt: skip
    assert (read.max_bytes, read.deadline_ms, read.otel, read.idle_seconds) == (2048, None, False, 2.5)
    assert (
        read.audit_log == Path("x.jsonl") and read.ext_authz_channel == "tool" and len(read.keys.digests) == 3
    )
    for variable, value in (
        ("MAX_BYTE", "1"),
        ("MAX_BYTES", "many"),
        ("OTEL", "perhaps"),
        ("MAX_BYTES", "0"),
    ):
        with pytest.raises(ConfigError, match=variable.lower() if value == "0" else variable):
            ServeSettings.from_environment({f"ALKNET_SERVE_{variable}": value})
    for wrong in ({"ext_authz_channel": "email"}, {"audit_text": True}, {"deadline_ms": 0.0}):
        with pytest.raises(ConfigError):
            ServeSettings(**wrong)  # type: ignore[arg-type]


def test_logs_name_routes_and_no_text(own: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        own.post("/v1/screen?canary=1", json={"text": "canary"})
        own.post("/ext_authz/canary/path?canary", content="canary")
        own.get("/canary")
        own.request("CANARY", "/v1/screen")
        own.post("/v1/screen", content='{"canary": "canary', headers={"content-type": "application/json"})
    ours = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("alknet", "uvicorn", "fastapi"))
    ]
    assert any("/v1/screen 200" in line for line in ours) and any("http /ext_authz " in line for line in ours)
    assert not any("canary" in line.lower() for line in ours)
