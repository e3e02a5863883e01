"""`/ext_authz`: what a proxy is told, and that what it shows is read as the next one will read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient

from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.keys import ApiKeys
from tests.serving import ATTACK, BENIGN, KEY, client

JSON = {"content-type": "application/json"}


@pytest.fixture
def own(settings: Path) -> Iterator[TestClient]:
    with client(Firewall.from_config(settings), ext_authz_channel="tool") as made:
        yield made


@pytest.mark.parametrize(
    "path", ["/ext_authz", "/ext_authz/", "/ext_authz/v1/chat/completions", "/ext_authz/a%20b"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "PROPFIND"])
def test_any_path_and_method_is_answered(own: TestClient, path: str, method: str) -> None:
    allowed = own.request(method, path, content=BENIGN)
    assert allowed.status_code == 200 and allowed.content == b""
    assert allowed.headers["x-alknet-firewall-action"] == "allow"
    denied = own.request(method, path, content=ATTACK)
    assert denied.status_code == 403 and denied.json()["verdict"]["channel"] == "tool"
    assert denied.headers["x-alknet-firewall-behavior"] in ("injection", "jailbreak", "injection,jailbreak", "jailbreak,injection")  # fmt: skip
    assert denied.headers["x-alknet-firewall-action"] == "block"


def test_paths_beside_it_are_not_answered(own: TestClient) -> None:
    assert own.post("/ext_authzz", content=BENIGN).status_code == 404


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps({"messages": [{"role": "user", "content": ATTACK}]}), JSON),
        (json.dumps({"messages": [{"role": "user", "content": ATTACK}]}).replace("z", "\\u007a"), JSON),
        (json.dumps([ATTACK]).replace("z", "\\u007a"), {"content-type": "text/plain"}),
        (json.dumps({ATTACK: 1}), JSON),
        (f'{{"content": "{ATTACK}", "content": "{BENIGN}"}}', JSON),
        (f'{{"content": "{ATTACK}"', JSON),
        (f'// a comment\n{{"content": "{ATTACK}",}}', JSON),
        (
            f"q={ATTACK.replace('z', '%7a').replace(' ', '+')}",
            {"content-type": "application/x-www-form-urlencoded"},
        ),
        (ATTACK, {"content-type": "text/plain; charset=iso-8859-1"}),
        (ATTACK, {}),
    ],
)
def test_an_attack_is_found_in_the_ways_a_body_is_written(
    own: TestClient, body: str, headers: dict[str, str]
) -> None:
    assert own.post("/ext_authz", content=body, headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["content-encoding", "content-type"])
def test_of_two_headers_alike_both_count(own: TestClient, name: str) -> None:
    first, second = {"content-encoding": ("identity", "gzip"), "content-type": ("text/plain", "x; charset=utf-7")}[name]
    answer = own.post("/ext_authz", content=BENIGN, headers=[(name, first), (name, second)])
    assert answer.status_code == 415 and answer.json()["error"] == "unreadable"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-envoy-auth-partial-body": "true"}, 415),
        ({"x-envoy-auth-partial-body": "false"}, 200),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "identity"}, 200),
        ({"content-type": "text/plain; charset=utf-16"}, 415),
        ({"content-type": "text/plain; charset=utf-7"}, 415),
        ({"content-type": 'text/plain; x=y; charset="UTF-8"'}, 200),
    ],
)
def test_what_cannot_be_read_is_refused(own: TestClient, headers: dict[str, str], status: int) -> None:
    answer = own.post("/ext_authz", content=BENIGN, headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"] == "unreadable"


def test_a_body_that_should_be_there_and_is_not(own: TestClient) -> None:
    answer = own.post("/ext_authz/v1/chat")
    assert answer.status_code == 403 and "with_request_body" in answer.json()["hint"]
    assert own.get("/ext_authz/v1/models").status_code == own.head("/ext_authz").status_code == 200


def test_a_body_too_large_is_refused(settings: Path) -> None:
    with client(Firewall.from_config(settings), max_bytes=100) as own:
        assert own.post("/ext_authz", content="a" * 101).status_code == 413
        assert own.post("/ext_authz", content=iter([b"a" * 60, b"a" * 60])).status_code == 413


def test_the_key_of_the_proxy_counts_beside_that_of_its_client(settings: Path) -> None:
    with client(Firewall.from_config(settings), keys=ApiKeys.read(KEY, "keys")) as own:
        both = {"authorization": "Bearer key-of-the-client-for-the-model", "x-api-key": KEY}
        assert own.post("/ext_authz", content=BENIGN, headers=both).status_code == 200
        del both["x-api-key"]
        assert own.post("/ext_authz", content=BENIGN, headers=both).status_code == 401
