"""What those see who watch the server: Prometheus, OpenTelemetry, the audit log, the dashboard; and never a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.meters import Meters
from alknet_firewall.serve.observed import ObservedModel
from alknet_firewall.verdict import CHANNELS
from tests.conftest import MakeCodebook, TinyModel
from tests.serving import ATTACK, BENIGN, client, total

ROOT = Path(__file__).resolve().parents[2]
TEXT = "canary-2718281828"


def metric_names() -> set[str]:
    """All names that a scrape can have."""
    meters = Meters()
    names = set()
    for family in meters.registry.collect():
        names.add(family.name)
        if family.type == "counter":
            names.add(f"{family.name}_total")
        if family.type == "histogram":
            names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return names


def test_verdicts_are_counted(settings: Path) -> None:
    with client(Firewall.from_config(settings)) as own:
        for text in (ATTACK, BENIGN, BENIGN + TEXT):
            own.post("/v1/screen", json={"text": text, "channel": "tool"})
        own.post("/v1/stream?channel=document", content=ATTACK)
        own.get(f"/{TEXT}")
        own.post(f"/ext_authz/{TEXT}", content=BENIGN)
        page = own.get("/metrics").text

    def one(name: str, labels: str) -> float:
        found = re.search(rf"^alknet_firewall_{name}\{{{labels}\}} (\S+)$", page, re.MULTILINE)
        return float(found.group(1)) if found else 0

    assert one("verdicts_total", 'action="block",channel="tool"') >= 1
    assert one("verdicts_total", 'action="block",channel="document"') == 1  # the stream
    assert total(page, "alknet_firewall_verdicts_total") == 5
    assert total(page, "alknet_firewall_alarms_total") >= 2
    assert one("screening_seconds_count", 'channel="tool"') == 3  # streams take as long as their source
    assert one("false_alarm_rate_count", 'channel="tool"') == 3
    assert one("requests_total", 'route="-",status="404"') == 1
    assert one("requests_total", 'route="/v1/screen",status="200"') == 3
    assert (
        total(page, "alknet_firewall_texts_waiting") == 0
        and total(page, "alknet_firewall_ready_workers") == 1
    )
    assert one("windows_total", 'stage="first"') >= 5 and one("detector_seconds_count", 'stage="first"') >= 1
    assert TEXT not in page


@pytest.mark.parametrize(("band", "share"), [(-1e9, 1.0), (1e9, 0.0)])
def test_the_share_of_the_cascade_is_that_of_its_windows(
    tiny: TinyModel, make_codebook: MakeCodebook, tmp_path: Path, band: float, share: float
) -> None:
    deep = {
        name: replace(own, weights=own.weights[[0, 0]] * 1.0, biases=own.biases[[0, 0]])
        for name, own in make_codebook().behaviors.items()
    }
    codebook = make_codebook(behaviors=deep, cascade=dict.fromkeys(CHANNELS, band))
    (tmp_path / "codebook.safetensors").write_bytes(codebook.to_bytes())
    file = tmp_path / "firewall.toml"
    file.write_text(f'codebook = "codebook.safetensors"\nweights = "{tiny.path.as_posix()}"\n')
    with client(Firewall.from_config(file)) as own:
        for i in range(5):
            own.post("/v1/screen", json={"text": f"{BENIGN} {i}"})
        page = own.get("/metrics").text
    windows = {
        stage: float(found.group(1)) if found else 0.0
        for stage in ("first", "further")
        for found in [
            re.search(rf'^alknet_firewall_windows_total{{stage="{stage}"}} (\S+)$', page, re.MULTILINE)
        ]
    }
    assert windows["first"] == 5 and windows["further"] == 5 * share


def test_a_clock_around_the_detector_changes_no_verdict(settings: Path) -> None:
    plain = Firewall.from_config(settings)
    with client(Firewall.from_config(settings)) as own:
        told = own.post("/v1/screen", json={"text": ATTACK}).json()
        page = own.post("/v1/stream?channel=user", content=ATTACK).text
    assert told == plain.screen(ATTACK).to_dict()
    assert json.loads(page.splitlines()[-2].removeprefix("data: "))["verdict"] == told
    assert not isinstance(plain.engine.detector.model, ObservedModel)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """OpenTelemetry that keeps everything in memory."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer = TracerProvider()
    tracer.add_span_processor(SimpleSpanProcessor(spans))
    # The providers of a process can be set once; tests put theirs in place for a while.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracer)
    monkeypatch.setattr(trace, "get_tracer", tracer.get_tracer)
    meter = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: meter)
    monkeypatch.setattr(metrics, "get_meter", meter.get_meter)
    yield spans, reader


def test_a_span_tells_the_verdict_and_not_the_text(settings: Path, exported: Any) -> None:
    spans, reader = exported
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with client(Firewall.from_config(settings), otel=True) as own:
        own.post("/v1/screen", json={"text": ATTACK, "channel": "tool"}, headers={"traceparent": parent})
        own.post(f"/ext_authz/{TEXT}?{TEXT}", content=TEXT)
        own.post("/v1/stream", content=BENIGN)
    attack, other = spans.get_finished_spans()
    assert attack.name == "alknet_firewall.screen"
    assert f"{attack.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{attack.parent.span_id:016x}" == "b7ad6b7169203331"
    assert attack.attributes["gen_ai.evaluation.score.label"] == "block"
    assert attack.attributes["alknet_firewall.channel"] == "tool"
    assert {event.name for event in attack.events} == {"gen_ai.evaluation.result"}
    assert TEXT not in other.to_json()
    told = reader.get_metrics_data().to_json()
    assert TEXT not in told
    names = {
        metric["name"]
        for resource in json.loads(told)["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }
    assert {
        "alknet_firewall.verdicts",
        "alknet_firewall.screening.duration",
        "alknet_firewall.texts.waiting",
    } <= names
    assert {"alknet_firewall.detector.duration", "alknet_firewall.windows", "alknet_firewall.alarms"} <= names


def test_a_span_of_a_fault_names_its_kind(settings: Path, exported: Any) -> None:
    spans, _ = exported
    firewall = Firewall.from_config(settings).warm_up()
    with client(firewall, otel=True) as own:

        def judge(*_: object, **__: object) -> Any:
            raise RuntimeError(TEXT)

        firewall.engine.judge = judge  # type: ignore[method-assign]
        assert own.post("/v1/screen", json={"text": TEXT}).status_code == 500
    [span] = spans.get_finished_spans()
    assert span.attributes["error.type"] == "RuntimeError" and not span.status.is_ok
    assert TEXT not in span.to_json()


def test_the_attributes_are_those_of_the_conventions() -> None:
    conventions = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for name, value in vars(conventions).items() if name.startswith("GEN_AI")}
    source = (ROOT / "packages/core/src/alknet_firewall/serve/otel.py").read_text(encoding="utf-8")
    used = set(re.findall(r'"(gen_ai\.[\w.]+)"', source)) - {
        "gen_ai.evaluation.result"
    }  # the name of an event
    assert used and used <= known


@pytest.mark.parametrize("with_text", [False, True])
def test_every_verdict_is_in_the_audit_log(settings: Path, tmp_path: Path, with_text: bool) -> None:
    log = tmp_path / "audit.jsonl"
    with client(Firewall.from_config(settings), audit_log=log, audit_text=with_text) as own:
        own.post("/v1/screen", json={"text": f"{ATTACK} {TEXT}", "channel": "tool"})
        own.post("/v1/moderations", json={"input": [BENIGN, TEXT]})
        own.post("/ext_authz", content=BENIGN)
        own.post("/v1/stream?channel=document", content=ATTACK)
    lines = [
        json.loads(line) for line in log.read_text().splitlines()
    ]  # all are there once the server has ended
    assert sorted(line["channel"] for line in lines) == ["document", "tool", "user", "user", "user"]
    assert (TEXT in log.read_text()) is with_text
    assert sum(line["verdict"]["flagged"] for line in lines) >= 2


def test_the_dashboard_asks_only_for_metrics_that_there_are() -> None:
    told = (ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8")
    asked = set(re.findall(r"\balknet_firewall_\w+", told))
    assert len(asked) >= 10 and asked <= metric_names()
    dashboard = json.loads(told)
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(titles) == len(set(titles)) and len({panel["id"] for panel in dashboard["panels"]}) == len(
        titles
    )
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and panel["description"]


def test_every_metric_is_described() -> None:
    page = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    for family in Meters().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in page, name
