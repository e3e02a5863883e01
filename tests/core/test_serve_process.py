"""Real server processes on 127.0.0.1: clients as they are, workers, unix sockets, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

import httpx

from alknet_firewall.config import FirewallConfig
from alknet_firewall.errors import ConfigError
from alknet_firewall.serve.run import Listen, _socket, serve
from alknet_firewall.serve.settings import ServeSettings
from tests.serving import ATTACK, BENIGN, KEY, PROGRAM, Server, events, server, total, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and unix sockets are those of POSIX"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, tiny_settings: Path) -> Iterator[Server]:
    """One server for the tests that do not end it, with a key."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "keys").write_text(KEY)
    with server(
        tiny_settings, folder, "--api-key-file", "keys", env={"ALKNET_SERVE_IDLE_SECONDS": "20"}
    ) as own:
        yield own


@pytest.fixture(scope="module")
def tiny_settings(tmp_path_factory: pytest.TempPathFactory, tiny: object, make_codebook: object) -> Path:
    """As `settings`, for the whole module."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "codebook.safetensors").write_bytes(make_codebook().to_bytes())  # type: ignore[operator]
    file = folder / "firewall.toml"
    weights = tiny.path.as_posix()  # type: ignore[attr-defined]
    file.write_text(f'codebook = "codebook.safetensors"\nweights = "{weights}"\non_long = "screen_all"\n')
    return file


def long_text() -> str:
    """Benign, and so long that it is at work for a while."""
    return f"{BENIGN}. " * 5_000


def test_the_openai_client_works_unchanged(running: Server) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as ours:
        found = ours.moderations.create(input=ATTACK, model="omni-moderation-latest")
        assert found.results[0].flagged and found.model == "omni-moderation-latest"
        assert found.results[0].categories.violence is False and found.results[0].category_scores.hate == 0
        assert found.results[0].category_applied_input_types.sexual == ["text"]
        many = ours.moderations.create(input=[BENIGN, ATTACK, BENIGN])
        assert [one.flagged for one in many.results] == [False, True, False]
        parts = ours.moderations.create(input=[{"type": "text", "text": ATTACK}])
        assert [one.flagged for one in parts.results] == [True]
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            ours.moderations.create(
                input=[{"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]
            )
        assert "pictures" in caught.value.response.json()["detail"]  # newer clients leave it out of the exception's text
        with pytest.raises(openai.AuthenticationError):
            ours.with_options(api_key="wrong").moderations.create(input=BENIGN)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_works(running: Server, tmp_path: Path) -> None:
    def curl(*arguments: str, text: str = "") -> str:
        command = ["curl", "-sS", "-m", "20", "-H", f"X-API-Key: {KEY}", *arguments]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    body = json.dumps({"text": ATTACK, "channel": "document"})
    told = json.loads(curl("-H", "Content-Type: application/json", "-d", body, f"{running.url}/v1/screen"))
    assert told["action"] == "block" and told["channel"] == "document"
    found = events(
        curl(
            "-N", "-T", "-", "-X", "POST", f"{running.url}/v1/stream?hold_back=block", text=f"{BENIGN}. " * 40
        )
    )
    assert "".join(one["text"] for one in found if one["event"] == "text") == f"{BENIGN}. " * 40
    assert found[-1]["event"] == "end"
    (tmp_path / "large").write_bytes(b"a" * (3 << 20))
    statuses = curl(
        "-o",
        os.devnull,
        "-w",
        "%{http_code}",
        "--data-binary",
        f"@{tmp_path / 'large'}",
        f"{running.url}/v1/screen",
    )
    assert statuses == "413"


def test_events_come_while_the_body_is_still_being_sent(running: Server) -> None:
    # By hand: the clients at hand send the whole body before they read.
    with socket.create_connection(("127.0.0.1", httpx.URL(running.url).port or 0), timeout=20) as raw:
        piece = f"{BENIGN}. {ATTACK} {BENIGN}. ".encode() * 3
        raw.sendall(START.replace("stream ", "stream?hold_back=block ").encode())
        raw.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))  # and no end of the body
        received = b""
        while b'"stopped"' not in received:
            more = raw.recv(65536)
            assert more, received
            received += more
    found = events(received.decode())
    assert found[-1]["event"] == "stopped" and found[-1]["verdict"]["flagged"]


START = f"POST /v1/stream HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\n\r\n"


def test_a_websocket_works(running: Server) -> None:
    from websockets.sync.client import connect

    url = running.url.replace("http", "ws")
    with connect(f"{url}/v1/stream?channel=tool", additional_headers={"X-API-Key": KEY}) as talking:
        talking.send(json.dumps({"text": ATTACK}))
        talking.send(json.dumps({"end": True}))
        found = [json.loads(message) for message in talking]
    assert found[-1]["event"] == "end" and found[-1]["verdict"]["action"] == "block"
    with connect(f"{url}/v1/stream?canary=canary", additional_headers={"X-API-Key": KEY}) as talking:
        assert json.loads(talking.recv())["event"] == "error"
    assert "canary" not in running.log.read_text()
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus) as refused:
        connect(f"{url}/v1/stream")
    assert refused.value.response.status_code == 401
    assert b"X-API-Key" in (refused.value.response.body or b"")


def test_a_client_that_goes_away_leaves_nothing(running: Server) -> None:
    with running.client(headers={"x-api-key": KEY}) as asking:

        def number(name: str) -> float:
            return total(asking.get("/metrics").text, f"alknet_firewall_{name}")

        port = httpx.URL(running.url).port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(f"{START}5\r\nhello\r\n".encode())
            until(lambda: number("streams_open") == 1)
        until(lambda: number("streams_open") == 0)
        assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_at_work_is_finished_when_the_server_ends(
    tiny_settings: Path, tmp_path: Path, workers: str
) -> None:
    with server(tiny_settings, tmp_path, "--workers", workers) as own:
        answers: list[httpx.Response] = []

        def ask() -> None:
            with own.client(timeout=60) as asking:
                answers.append(asking.post("/v1/screen", json={"text": long_text(), "channel": "tool"}))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: own.metric("alknet_firewall_texts_waiting") == 1)
        own.process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert [answer.status_code for answer in answers] == [200]
        assert own.process.wait(30) == 0
        with pytest.raises(httpx.TransportError), own.client() as late:
            late.get("/healthz")


def test_what_takes_longer_than_the_grace_is_cut_off(tiny_settings: Path, tmp_path: Path) -> None:
    with server(tiny_settings, tmp_path, "--grace", "1", "--max-bytes", "20000000") as own:
        failed: list[Exception] = []

        def ask() -> None:
            try:
                with own.client(timeout=60) as asking:
                    asking.post(
                        "/v1/screen", json={"text": long_text() * 120, "channel": "tool"}
                    ).raise_for_status()
            except httpx.HTTPError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: own.metric("alknet_firewall_texts_waiting") == 1)
        own.process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert failed  # and no verdict
        own.process.wait(30)


def test_a_unix_socket_is_made_and_removed(tiny_settings: Path, tmp_path: Path) -> None:
    path = tmp_path / "firewall.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with server(tiny_settings, tmp_path, "--uds", str(path)) as own, own.client() as asking:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert asking.post("/v1/screen", json={"text": ATTACK}).json()["action"] == "block"
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, "serve", "--config", str(tiny_settings), "--uds", str(path)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert ran.returncode == 1 and "another server listens there" in " ".join(ran.stderr.split())
    assert not path.exists()


def test_a_server_that_took_over_a_socket_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "firewall.sock"
    with ExitStack() as newer:
        with _socket(Listen(uds=path)) as older:
            older.close()  # as a server does that still finishes what is at work
            newer.enter_context(_socket(Listen(uds=path)))
        assert path.exists()
        with pytest.raises(ConfigError, match="another server listens there"), _socket(Listen(uds=path)):
            pass
    assert not path.exists()


def test_two_workers_share_their_counts_and_one_that_dies_is_replaced(
    tiny_settings: Path, tmp_path: Path
) -> None:
    with server(tiny_settings, tmp_path, "--workers", "2") as own:
        until(lambda: own.metric("alknet_firewall_ready_workers") == 2)
        answered = []
        for _ in range(20):  # each on a connection of its own, so that both get some
            with own.client() as asking:
                answered.append(asking.post("/v1/screen", json={"text": ATTACK}).json()["action"])
        assert answered == ["block"] * 20
        assert own.metric("alknet_firewall_verdicts_total") == 20
        children = Path(f"/proc/{own.process.pid}/task/{own.process.pid}/children")
        if not children.is_file():
            pytest.skip("processes are found by /proc")
        served = [
            pid for pid in map(int, children.read_text().split())
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]  # fmt: skip
        assert len(served) == 2
        os.kill(served[0], signal.SIGKILL)
        time.sleep(0.5)
        until(lambda: own.metric("alknet_firewall_ready_workers") == 2)
        with own.client() as asking:
            assert asking.post("/v1/screen", json={"text": BENIGN}).json()["action"] == "allow"


def test_a_model_that_cannot_be_loaded_leaves_it_alive_and_not_ready(tmp_path: Path) -> None:
    (tmp_path / "firewall.toml").write_text('codebook = "missing.safetensors"\n')
    log = (tmp_path / "log").open("wb")
    command = [sys.executable, "-c", PROGRAM, "serve", "--config", "firewall.toml", "--port", "0"]
    process = subprocess.Popen(command, stderr=log, cwd=tmp_path)
    try:
        until(lambda: b"not ready" in (tmp_path / "log").read_bytes())
        told = (tmp_path / "log").read_text()
        assert "missing.safetensors" in told
        url = told.partition("listening on ")[2].partition(",")[0]
        assert (
            httpx.get(f"{url}/healthz").status_code == 200 and httpx.get(f"{url}/readyz").status_code == 503
        )
        answer = httpx.post(f"{url}/v1/screen", json={"text": BENIGN})
        assert answer.status_code == 500 and "missing" not in answer.text
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def test_it_does_not_open_itself_to_a_network_without_a_key() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
        with pytest.raises(ConfigError, match="--api-key-file"):
            serve(FirewallConfig(), ServeSettings(), Listen(host=host))


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    told = pytest.raises(ConfigError, match="cannot listen on 127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken, told:
        serve(FirewallConfig(), ServeSettings(), Listen(port=taken.getsockname()[1]))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="no socket"):
        serve(FirewallConfig(), ServeSettings(), Listen(uds=tmp_path / "file"))
