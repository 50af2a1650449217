"""A trace that is followed leads over the records an event opens and closes to the event of their file."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from billing_sync.handlers.outboxes import FileOutbox
from bus import decoding
from bus.records import Batch, RawRecord
from contracts import envelope
from contracts.lanes import Lane
from servicekit import telemetry
from servicekit.telemetry import parse_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
TOPIC = "dispatch.outcomes.notice"


@pytest.fixture
def exported(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for module in (telemetry, decoding):
        monkeypatch.setattr(module, "tracer", lambda: provider.get_tracer("test"))
    return exporter


def _raw(event, parent):
    wrapped = envelope.wrap(event, id="x", key="demo:e1", tenant="demo", occurred_at=event.at, traceparent=parent)
    return RawRecord(TOPIC, 0, 0, 0, b"", envelope.encode(wrapped), ())


async def _take(office, *events, parent):
    """Take each event in as the bus does: decoded, with a span while its trace is followed."""
    for event in events:
        decoded = decoding.decode_batch("billing-sync", [_raw(event, parent)])
        with decoding.running(decoded.spans):
            async with office.database.transaction() as tx:
                await office.handler.effect(tx, Batch(TOPIC, Lane.NOTICE, decoded.records))


async def _charged(office, minutes):
    office.clock.now += minutes
    await office.clerk.once()
    async with office.database.connection() as connection:
        (filed,) = await FileOutbox().pending(connection, 0.0, 10)
    return FileOutbox().events(filed)


async def test_the_record_and_its_file_s_event_are_in_the_trace(office, make, exported):
    chunk = make.chunk()
    await _take(office, make.answered(chunk, 3), make.reported(chunk, 2), parent=PARENT)
    answered, reported = exported.get_finished_spans()
    assert answered.attributes["records.opened"] == 3
    assert (reported.attributes["records.delivered"], reported.attributes["chunk_id"]) == (2, chunk)
    ((_, charged),) = await _charged(office, 5 * make.minute)
    *_, filed = exported.get_finished_spans()
    assert (filed.name, filed.attributes["records"], filed.attributes["file_no"]) == ("billing.charged", 2, 1)
    assert filed.parent.span_id == reported.context.span_id
    assert parse_traceparent(charged.traceparent).span_id == filed.context.span_id
    assert parse_traceparent(charged.traceparent).trace_id == int(TRACE, 16)
    told = repr([(span.name, span.attributes) for span in exported.get_finished_spans()])
    assert "1380000000" not in told


@pytest.mark.parametrize("parent", ["", PARENT[:-1] + "0"])
async def test_what_is_not_followed_leaves_nothing(office, make, exported, parent):
    chunk = make.chunk()
    await _take(office, make.answered(chunk, 3), make.reported(chunk, 3), parent=parent)
    async with office.database.connection() as connection:
        assert await connection.fetchval("select count(*) from closure where trace is not null") == 0
    ((_, charged),) = await _charged(office, 5 * make.minute)
    assert charged.traceparent == ""
    assert exported.get_finished_spans() == ()
