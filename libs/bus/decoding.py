"""From raw records to events, with a span for each record whose trace is being recorded.

What cannot be decoded is `Invalid` with the decoder's own code; a record replayed for another group is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind

from bus.deadletters import REPLAY_FOR
from bus.records import Invalid, RawRecord, Record
from contracts.envelope import Envelope, EnvelopeError, decode
from servicekit.telemetry import is_sampled, parse_traceparent, traceparent_of, tracer


@dataclass(slots=True)
class Decoded:
    """A batch after decoding."""

    records: list[Record] = field(default_factory=list)
    invalid: list[Invalid] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


def decode_batch(group: str, raws: Sequence[RawRecord]) -> Decoded:
    """Decode every record; begins spans, which `running` ends."""
    result = Decoded()
    for raw in raws:
        replay_for = raw.header(REPLAY_FOR)
        if replay_for and replay_for != group:
            continue
        if raw.value is None:
            result.invalid.append(Invalid(raw, "no_value", "the record has no value"))
            continue
        try:
            envelope = decode(raw.value, raw.header("type"))
        except EnvelopeError as error:
            result.invalid.append(Invalid(raw, error.code, str(error)))
            continue
        parent = envelope.traceparent
        # For what is not sampled not even a span object is made: this runs for every record.  Most have no trace at all.
        if parent and is_sampled(parent):
            result.records.append(_traced(group, raw, envelope, result.spans))
        else:
            result.records.append(Record(raw, envelope, parent))
    return result


@contextmanager
def running(spans: Sequence[Span]) -> Iterator[None]:
    """Make the first span the current one, and end all with the block; what went wrong is noted by its class."""
    if not spans:
        yield
        return
    try:
        with trace.use_span(spans[0], end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        for span in spans:
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        for span in spans:
            span.end()


def _traced(group: str, raw: RawRecord, envelope: Envelope[object], spans: list[Span]) -> Record:
    remote = parse_traceparent(envelope.traceparent)
    if remote is None:
        return Record(raw, envelope, "")
    span = tracer().start_span(
        f"{group} process {envelope.type}",
        trace.set_span_in_context(NonRecordingSpan(remote)),
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.destination.name": raw.topic,
            "messaging.destination.partition.id": str(raw.partition),
            "messaging.kafka.offset": raw.offset,
            "guanxin.event.id": envelope.id,
        },
    )
    spans.append(span)
    return Record(raw, envelope, traceparent_of(span), span if span.is_recording() else None)
