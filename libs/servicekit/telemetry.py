"""Logs and traces of a process: JSON lines without numbers, contents or secrets; spans linked over HTTP and Kafka by
traceparent.

Boundary: the only module that sets up structlog and OpenTelemetry.  A trace costs some 30 us a span, so spans are per
chunk or request, never per message, and new traces are begun at a bounded rate.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import Attributes

if TYPE_CHECKING:
    from servicekit.settings import ServiceSettings

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")

SECRET_KEYS = frozenset(
    {
        "password",
        "secret",
        "token",
        "api_key",
        "authorization",
        "cookie",
        "shared_secret",
        "dsn",
        "database_url",
        "pepper",
    }
)
CONTENT_KEYS = frozenset({"text", "content", "body", "message_text", "variables", "pieces", "value", "payload"})
NUMBER_KEYS = frozenset({"number", "recipient", "recipients", "sender", "msisdn", "phone", "to", "from_number"})

_PHONE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86)?(1[3-9]\d)\d{4}(\d{4})(?![0-9A-Za-z])")
"""A Chinese mobile number standing by itself; digits inside a hex id are not one."""

_DETAIL = re.compile(r"^(?:DETAIL|CONTEXT):.*$\n?", re.MULTILINE)
"""PostgreSQL's errors quote whole rows there."""

MAX_TRACE_FILE_OCTETS = 64 * 1024 * 1024
"""The local span file starts over at this size, keeping one older file."""


def mask(number: str | int) -> str:
    """Return a number as it may be shown: ``138****0001``; short ones keep their last two digits only."""
    digits = str(number).removeprefix("+")
    if len(digits) == 13 and digits.startswith("86"):
        digits = digits[2:]
    if len(digits) < 8:
        return "*" * max(len(digits) - 2, 1) + digits[-2:] if len(digits) > 2 else "**"
    return f"{digits[:3]}{'*' * (len(digits) - 7)}{digits[-4:]}"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove from a log line what must not be in it: secrets and contents whole, numbers masked wherever they stand."""
    for key, value in event.items():
        if key in SECRET_KEYS or key.endswith(("_password", "_secret", "_token")):
            event[key] = "****"
        elif key in CONTENT_KEYS:
            event[key] = f"<{len(value)}>" if isinstance(value, str | bytes | list | dict) else "<removed>"
        elif key in NUMBER_KEYS:
            event[key] = [mask(v) for v in value] if isinstance(value, list | tuple) else mask(value)
        elif key == "exception" and isinstance(value, str):
            event[key] = _clean(value)
        elif isinstance(value, str):
            event[key] = _PHONE.sub(r"\1****\2", value)
        elif isinstance(value, int) and not isinstance(value, bool) and _PHONE.fullmatch(str(value)):
            event[key] = mask(value)
    return event


def fault_text(fault: BaseException | None) -> str:
    """Return a traceback as it may be written down: numbers masked, PostgreSQL's row details left out."""
    if fault is None:
        return ""
    return _clean("".join(traceback.format_exception(fault)))


def _clean(text: str) -> str:
    return _PHONE.sub(r"\1****\2", _DETAIL.sub("", text))


def setup(settings: ServiceSettings) -> None:
    """Configure logs and traces for this process; call once."""
    setup_logging(settings.service, settings.instance, settings.log_level)
    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.service, "service.instance.id": settings.instance}),
        sampler=ParentBased(RateLimited(_new_traces_per_second(settings))),
        shutdown_on_exit=False,
    )
    if settings.otlp_endpoint:
        # Imported here: protobuf and requests cost 20 MB, and most machines have no collector.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
    if settings.trace_file is not None:
        provider.add_span_processor(SimpleSpanProcessor(SpanFile(settings.trace_file)))
    trace.set_tracer_provider(provider)


def _new_traces_per_second(settings: ServiceSettings) -> int:
    """None where nothing exports them: recording what nobody reads would still cost every service its spans."""
    return settings.traces_per_second if settings.otlp_endpoint or settings.trace_file is not None else 0


def shutdown() -> None:
    """Flush what was not exported yet."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def setup_logging(service: str, instance: str, level: str) -> None:
    """Send structlog and the standard library's logging to standard output as JSON lines."""

    def identify(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"], event["instance"] = service, instance
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        identify,
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # aiokafka reports every reconnect attempt of every node at error or warning; `bus` logs outages itself, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if level != "debug" else logging.DEBUG)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def tracer() -> trace.Tracer:
    """Return the process's tracer."""
    return _tracer_of(trace.get_tracer_provider())


@lru_cache(maxsize=1)
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    """Remembered: the SDK makes a new one each time, which costs a quarter of a span."""
    return provider.get_tracer("guanxin")


@contextmanager
def span(
    name: str,
    traceparent: str = "",
    *,
    links: Sequence[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | float | bool,
) -> Iterator[Span]:
    """Run a block in a span: child of ``traceparent`` when given, else of the current span; ``links`` are other
    traceparents.

    An exception is recorded by its class only, for its text may quote what must not be logged.
    """
    context = _context_of(traceparent)
    linked = [Link(c) for c in map(parse_traceparent, links) if c is not None]
    with tracer().start_as_current_span(
        name,
        context,
        kind=kind,
        attributes=attributes,
        links=linked,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


def begin(name: str, traceparent: str, **attributes: str | float | bool) -> Span:
    """Begin a span that is not the current one and that the caller ends: for effects decided here and durable elsewhere.

    What is never ended is never exported, so a span of what did not become durable does not lie.
    """
    return tracer().start_span(name, _context_of(traceparent), attributes=attributes)


def current_traceparent() -> str:
    """Return the current span as W3C traceparent, empty when there is none."""
    return traceparent_of(trace.get_current_span())


def traceparent_of(of: Span) -> str:
    """Return a span as W3C traceparent, empty when it is none."""
    context = of.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


_ODD_DIGITS = frozenset("13579bdf")


def parse_traceparent(text: str) -> SpanContext | None:
    """Return the remote span, None when the text is no traceparent."""
    match = _TRACEPARENT.match(text)
    if match is None:
        return None
    context = SpanContext(int(match[1], 16), int(match[2], 16), True, TraceFlags(int(match[3], 16)))
    return context if context.is_valid else None


def is_sampled(traceparent: str) -> bool:
    """Return whether the trace is followed: bit 0 of the flags (W3C trace context; other bits may be set beside it).

    A look at one character: this is asked of every record.
    """
    return traceparent[-1:] in _ODD_DIGITS


def unfollowed(traceparent: str) -> str:
    """Return the same place in the trace, not to be followed from there (bit 0 of the flags cleared)."""
    if not is_sampled(traceparent):
        return traceparent
    return f"{traceparent[:-1]}{int(traceparent[-1], 16) & 0xE:x}"


def _context_of(traceparent: str) -> Context | None:
    remote = parse_traceparent(traceparent) if traceparent else None
    return trace.set_span_in_context(NonRecordingSpan(remote)) if remote is not None else None


class RateLimited(Sampler):
    """Begin at most so many traces a second (a token bucket of one second's worth)."""

    def __init__(self, per_second: int) -> None:
        self._rate = float(per_second)
        self._tokens = self._rate
        self._at = time.monotonic()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Take a token or drop."""
        now = time.monotonic()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return SamplingResult(Decision.DROP)
        self._tokens -= 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        """Say what this sampler does."""
        return f"RateLimited({self._rate:g}/s)"


class SpanFile(SpanExporter):
    """Spans as JSON lines in a file of bounded size, for a machine without a collector."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab", buffering=0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans."""
        self._file.write(b"".join(msgspec.json.encode(_span_document(s)) + b"\n" for s in spans))
        if self._file.tell() > MAX_TRACE_FILE_OCTETS:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("ab", buffering=0)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def _span_document(s: ReadableSpan) -> dict[str, Any]:
    context = s.get_span_context()
    return {
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{s.parent.span_id:016x}" if s.parent else "",
        "links": [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in s.links],
        "name": s.name,
        "kind": s.kind.name,
        "service": s.resource.attributes.get("service.name", ""),
        "instance": s.resource.attributes.get("service.instance.id", ""),
        "start_ns": s.start_time,
        "end_ns": s.end_time,
        "status": s.status.status_code.name,
        "attributes": dict(s.attributes or {}),
    }
