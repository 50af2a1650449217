"""Decoding a batch: every example event passes, rubbish becomes an outcome, traces continue."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bus import decoding
from bus.deadletters import REPLAY_FOR
from bus.decoding import decode_batch, running
from bus.records import RawRecord
from contracts import envelope
from contracts.events.ingest import TaskCancelled

TRACE = "0af7651916cd43dd8448eb211c80319c"


def raw(value, headers=(), offset=0):
    return RawRecord("s.notice", 0, offset, 0, b"k", value, headers)


def octets(traceparent=""):
    event = TaskCancelled(task_id="1" * 32, enterprise="e", at=1)
    return envelope.encode(envelope.wrap(event, id="i", key="t:e", tenant="t", occurred_at=1, traceparent=traceparent))


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(decoding, "tracer", lambda: provider.get_tracer("test"))
    return exporter


def test_rubbish_is_invalid_and_the_rest_is_decoded():
    decoded = decode_batch("g", [raw(octets()), raw(b"\x00"), raw(None), raw(b"{}"), raw(octets())])
    assert len(decoded.records) == 2
    assert [(i.raw.value, i.code) for i in decoded.invalid][:2] == [(b"\x00", "malformed"), (None, "no_value")]
    assert len(decoded.invalid) == 3


def test_a_replay_for_another_group_is_passed_over():
    mine = raw(octets(), ((REPLAY_FOR, b"g"),))
    other = raw(octets(), ((REPLAY_FOR, b"h"),))
    assert [r.raw for r in decode_batch("g", [mine, other]).records] == [mine]


def test_a_recorded_trace_gets_a_span_per_record_and_goes_on_under_it(spans):
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    decoded = decode_batch("g", [raw(octets(parent)), raw(octets(parent), offset=1)])
    with running(decoded.spans):
        assert f"{trace.get_current_span().get_span_context().trace_id:032x}" == TRACE
    first, second = (r.traceparent for r in decoded.records)
    assert first != second
    assert first.split("-")[1] == second.split("-")[1] == TRACE
    assert all(record.span.get_span_context().trace_id == int(TRACE, 16) for record in decoded.records)
    finished = spans.get_finished_spans()
    assert {f"{s.context.span_id:016x}" for s in finished} == {first.split("-")[2], second.split("-")[2]}
    assert all(f"{s.parent.span_id:016x}" == "b7ad6b7169203331" for s in finished)


def test_a_trace_that_is_not_recorded_costs_no_span_and_is_passed_on(spans):
    parent = f"00-{TRACE}-b7ad6b7169203331-00"
    decoded = decode_batch("g", [raw(octets(parent)), raw(octets("rubbish01"))])
    assert decoded.spans == []
    assert [r.traceparent for r in decoded.records] == [parent, ""]
    assert [r.span for r in decoded.records] == [None, None]


def test_a_fault_marks_the_spans_by_class_only(spans):
    decoded = decode_batch("g", [raw(octets(f"00-{TRACE}-b7ad6b7169203331-01"))])
    with pytest.raises(ValueError, match="13800138000"), running(decoded.spans):
        raise ValueError("13800138000")
    (span,) = spans.get_finished_spans()
    assert span.status.description == "ValueError"
    assert span.events == ()
