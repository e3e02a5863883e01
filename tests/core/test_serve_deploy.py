"""What lies in deploy/, and the Dockerfile: run where it can be, held to rules where it cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTACK = "zzzz zzzz zzzz zzzz zzzz"
DOCKERFILE = ROOT / "Dockerfile"
RAY = """
import json, sys
import httpx, ray
from ray import serve
try:
    ray.init(address="local", num_cpus=2, object_store_memory=80_000_000, include_dashboard=False, logging_level="ERROR")
except Exception as error:
    print(f"Ray does not start here: {str(error)[:80]}")
    sys.exit(77)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
sys.path.insert(0, sys.argv[2])
from deploy.ray_serve import app
serve.run(app, name="alknet", route_prefix="/")
url = f"http://127.0.0.1:{sys.argv[1]}"
told = []
for text in ("zzzz zzzz zzzz zzzz zzzz", "hello there"):
    told.append(httpx.post(f"{url}/v1/screen", json={"text": text}, timeout=60).json()["action"])
told.append(httpx.post(f"{url}/v1/screen", content=b"a" * 4000, timeout=60).status_code)
told.append(httpx.get(f"{url}/healthz", timeout=60).status_code)
serve.shutdown()
ray.shutdown()
print(json.dumps(told))
"""


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each on one line."""
    lines = [
        line
        for line in DOCKERFILE.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_the_image_runs_without_rights_and_without_what_builds_it() -> None:
    stages = [index for index, (name, _) in enumerate(instructions()) if name == "FROM"]
    last = instructions()[stages[-1] :]
    assert len(stages) == 2 and not any(name in ("RUN", "ADD") for name, _ in last)
    assert all(
        re.search(r":3\.\d+-slim\b", rest) for name, rest in instructions() if name == "FROM"
    )  # DL3006, DL3007
    [user] = [rest for name, rest in last if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)  # a number: Kubernetes' runAsNonRoot can check it
    names = [name for name, _ in last]
    assert names.index("USER") < names.index("ENTRYPOINT") and "HEALTHCHECK" in names
    for name, rest in last:
        if name in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(rest), list)  # DL3025: signals reach the server, not a shell
    assert not any(
        re.search(r"\b(sudo|apt-get|curl|wget)\b", rest) for name, rest in instructions() if name == "RUN"
    )


def test_the_image_gets_only_what_it_needs() -> None:
    copied = [rest.split()[0] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert "*" in ignored
    assert all(f"!{path}" in ignored and (ROOT / path).exists() for path in copied)


def test_the_image_starts_the_server_as_documented() -> None:
    told = dict(instructions())
    program, *arguments = [*json.loads(told["ENTRYPOINT"]), *json.loads(told["CMD"])]
    assert program == "alknet-firewall"
    from typer.testing import CliRunner

    from alknet_firewall.cli.app import app

    pytest.importorskip("uvicorn")
    refused = CliRunner().invoke(app, arguments)  # all addresses, and no key
    assert refused.exit_code == 1 and "--api-key-file" in refused.stderr, refused.output


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", str(DOCKERFILE)], check=True, timeout=60)


def test_envoy_shows_whole_bodies_and_is_closed_when_in_doubt() -> None:
    yaml = pytest.importorskip("yaml")
    told = yaml.safe_load((ROOT / "deploy" / "envoy.yaml").read_text(encoding="utf-8"))
    [listener] = told["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    asks: dict[str, Any] = manager["http_filters"][0]["typed_config"]
    assert asks["failure_mode_allow"] is False
    assert asks["with_request_body"]["allow_partial_message"] is False
    service = asks["http_service"]
    pytest.importorskip("fastapi")
    from alknet_firewall.serve.envoy import PREFIX
    from alknet_firewall.serve.settings import ServeSettings

    assert service["path_prefix"] == PREFIX
    assert asks["with_request_body"]["max_request_bytes"] <= ServeSettings().max_bytes
    passed = {one["exact"] for one in service["authorization_request"]["allowed_headers"]["patterns"]}
    assert {"content-type", "content-encoding"} <= passed and "authorization" not in passed


@pytest.mark.slow
def test_the_benchmark_counts_answers(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("uvicorn")
    for name, value in defaults(settings).items():
        monkeypatch.setenv(name, value)
    import_module("benchmarks.serve").main(["--seconds", "0.5", "--connections", "4"])
    printed = capsys.readouterr().out
    assert re.search(r"\| server, 1 worker \| [\d.]+ \| [\d.]+ \|", printed)
    assert "| errors and mistaken answers | 0 | 0 | yes |" in printed


def defaults(settings: Path) -> dict[str, str]:
    """Variables that make the tiny model the default of processes."""
    values = dict(re.findall(r'^(\w+) = "(.+)"$', settings.read_text(), re.MULTILINE))
    codebook = str(settings.parent / values["codebook"])
    return {"ALKNET_FIREWALL_CODEBOOK": codebook, "ALKNET_FIREWALL_WEIGHTS": values["weights"]}


def test_the_application_of_a_ray_replica_answers(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray.serve")
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    for name, value in {**defaults(settings), "ALKNET_FIREWALL_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    module = import_module("deploy.ray_serve")
    assert module.deployment.name == "alknet-firewall" and module.app is not None
    with TestClient(module.application()) as replica:
        assert replica.post("/v1/screen", json={"text": ATTACK}).json()["action"] == "block"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ray on Windows is experimental")
def test_ray_serve_answers(settings: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        **os.environ,
        **defaults(settings),
        "ALKNET_SERVE_MAX_BYTES": "3000",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    command = [sys.executable, "-c", RAY, str(port), str(ROOT)]
    ran = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    if ran.returncode == 77:  # a machine that is busy: Ray gives its own processes 15 s
        pytest.skip(ran.stdout.splitlines()[-1])
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert json.loads(ran.stdout.splitlines()[-1]) == ["block", "allow", 413, 200]
