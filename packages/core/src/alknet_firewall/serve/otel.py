"""Traces and metrics for OpenTelemetry: a span for each text, with what the GenAI conventions have names for.

They have none for guardrails yet, so a verdict is told as an evaluation (`gen_ai.evaluation.*`), without the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.propagate import extract

from alknet_firewall import __version__
from alknet_firewall.verdict import Verdict

_NAME = "alknet_firewall"


class OtelWatcher:
    """Tells OpenTelemetry, by the providers that the process has set."""

    def __init__(self) -> None:
        """Takes tracer and meter of the providers that are set by now."""
        self._tracer = trace.get_tracer(_NAME, __version__)
        meter = metrics.get_meter(_NAME, __version__)
        self._verdicts = meter.create_counter("alknet_firewall.verdicts", "{verdict}", "Verdicts given.")
        self._alarms = meter.create_counter("alknet_firewall.alarms", "{alarm}", "Alarms raised.")
        self._windows = meter.create_counter(
            "alknet_firewall.windows", "{window}", "Windows that the detector read, by stage of the cascade."
        )
        self._waiting = meter.create_up_down_counter(
            "alknet_firewall.texts.waiting", "{text}", "Texts taken in that have no verdict yet."
        )
        self._screening = meter.create_histogram(
            "alknet_firewall.screening.duration", "s", "From taking a text in to its verdict."
        )
        self._detector = meter.create_histogram(
            "alknet_firewall.detector.duration", "s", "One batch in the detector, by stage of the cascade."
        )
        self._rates = meter.create_histogram(
            "alknet_firewall.false_alarm_rate", "1", "False-alarm rates of the verdicts."
        )
        self._requests = meter.create_histogram(
            "alknet_firewall.request.duration", "s", "From a request to the end of its answer."
        )

    @contextmanager
    def screening(self, channel: str, headers: Mapping[str, str]) -> Iterator[None]:
        """A span, below that of the caller if the headers name one."""
        context = extract({name: headers[name] for name in ("traceparent", "tracestate") if name in headers})
        self._waiting.add(1)
        try:
            attributes = {"alknet_firewall.channel": channel}
            with self._tracer.start_as_current_span(
                "alknet_firewall.screen",
                context,
                attributes=attributes,
                record_exception=False,  # its message may quote the text
                set_status_on_exception=False,
            ):
                yield
        finally:
            self._waiting.add(-1)

    def screened(self, verdict: Verdict, seconds: float | None) -> None:
        """Counts a verdict, and writes it on the span around it."""
        decided = {"alknet_firewall.action": verdict.action.value, "alknet_firewall.channel": verdict.channel}
        self._verdicts.add(1, decided)
        for alarm in verdict.alarms:
            self._alarms.add(1, {**decided, "alknet_firewall.behavior": alarm.behavior})
        if verdict.error is None:
            self._rates.record(verdict.false_alarm_rate, {"alknet_firewall.channel": verdict.channel})
        if seconds is not None:
            self._screening.record(seconds, decided)
            _describe(trace.get_current_span(), verdict)

    def batch(self, stage: str, windows: int, seconds: float) -> None:
        """Counts a batch in the detector."""
        self._windows.add(windows, {"alknet_firewall.stage": stage})
        self._detector.record(seconds, {"alknet_firewall.stage": stage})

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.record(seconds, {"http.route": route, "http.response.status_code": status})


def _describe(span: trace.Span, verdict: Verdict) -> None:
    span.set_attributes(
        {
            "gen_ai.evaluation.name": "alknet-firewall",
            "gen_ai.evaluation.score.value": verdict.score,
            "gen_ai.evaluation.score.label": verdict.action.value,
            "alknet_firewall.false_alarm_rate": verdict.false_alarm_rate,
            "alknet_firewall.tokens": verdict.tokens,
            "alknet_firewall.truncated": verdict.truncated,
        }
    )
    for alarm in verdict.alarms:
        told: dict[str, str | float] = {
            "gen_ai.evaluation.name": alarm.behavior,
            "gen_ai.evaluation.score.value": alarm.score,
            "gen_ai.evaluation.score.label": alarm.action.value,
        }
        span.add_event("gen_ai.evaluation.result", told)
    if verdict.error is not None:
        kind = verdict.error.partition(":")[0]
        span.set_attribute("error.type", kind)
        span.set_status(trace.Status(trace.StatusCode.ERROR, kind))


def start() -> None:
    """Sets up export by OTLP over HTTP, as the standard variables `OTEL_*` say, in this process.

    Raises:
        ImportError: The extra `[otel]` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "alknet-firewall", "service.version": __version__})
    tracer = TracerProvider(resource=resource)
    tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer)
    metrics.set_meter_provider(
        MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    )


def flush() -> None:
    """Sends what waits: a process that ends by a signal would not. Takes as long as the exporters' timeouts allow."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        send = getattr(provider, "force_flush", None)
        if send is not None:
            send()
