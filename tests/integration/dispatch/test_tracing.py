"""A trace that is followed leads from the release over the submit to each receipt; one that is not leaves nothing."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contracts.events.dispatch import MessagesQueued, SegmentsAnswered, SegmentsReported
from servicekit import telemetry

TRACE = "0af7651916cd43dd8448eb211c80319c"
TAKEN = "b7ad6b7169203331"
TEXT = "您的账单已出"


@pytest.fixture
def exported(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("test"))
    return exporter


def _parents(running, kind) -> set[str]:
    return {e.traceparent.split("-")[2] for e in running.bus.events if isinstance(e.data, kind)}


def _reported(running) -> int:
    return sum(len(event.indices) for event in running.bus.of(SegmentsReported))


def _spans(exported, name):
    return {api.format_span_id(s.context.span_id): s for s in exported.get_finished_spans() if s.name == name}


async def test_answers_and_receipts_hang_under_their_submit(carrier, worker_of, tools, exported):
    begun = time.time()
    async with worker_of([tools.link_of(carrier, window=20)]) as running:
        chunk = tools.make_chunk(100, text=TEXT)
        await running.release(chunk, traceparent=f"00-{TRACE}-{TAKEN}-01")
        await tools.until(lambda: running.check() or _reported(running) == 100)
        submits, receipts = _spans(exported, "dispatch.submit"), _spans(exported, "dispatch.receipt")
        assert {api.format_trace_id(s.context.trace_id) for s in [*submits.values(), *receipts.values()]} == {TRACE}
        assert {api.format_span_id(s.parent.span_id) for s in submits.values()} == {TAKEN}
        assert sum(s.attributes["segments"] for s in submits.values()) == 100
        assert {api.format_span_id(s.parent.span_id) for s in receipts.values()} <= set(submits)
        assert sum(s.attributes["segments.delivered"] for s in receipts.values()) == 100
        assert len(receipts) == len(running.bus.of(SegmentsReported)), "one for each event, not for each message"
        most = (time.time() - begun) * 1000 + 1
        for span in receipts.values():
            assert span.attributes["link"] == "a"
            assert span.attributes["found"] == "memory"
            assert 0 <= span.attributes["submit_to_receipt_ms"] <= span.attributes["accept_to_receipt_ms"] <= most
        # What follows elsewhere continues where it came from.
        assert _parents(running, MessagesQueued) == {TAKEN}
        assert _parents(running, SegmentsAnswered) <= set(submits)
        assert _parents(running, SegmentsReported) == set(receipts)
        told = repr([(s.name, s.attributes, s.events, s.status.description) for s in exported.get_finished_spans()])
        assert TEXT not in told
        assert not [number for number in chunk.recipients if str(number)[2:] in told]


async def test_receipts_found_in_the_journal_hang_under_the_taking_in(carrier, worker_of, tools, exported):
    carrier.hold_receipts = True
    link = tools.link_of(carrier)
    async with worker_of([link]) as running:
        await running.release(tools.make_chunk(5), traceparent=f"00-{TRACE}-{TAKEN}-01")
        await tools.until(lambda: running.check() or len(carrier.held) == 5)
        await tools.until(lambda: sum(len(e.indices) for e in running.bus.of(SegmentsAnswered)) == 5)
    async with worker_of([link]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        for report in carrier.held:
            carrier.deliver(report)
        await tools.until(lambda: running.check() or _reported(running) == 5)
        receipts = _spans(exported, "dispatch.receipt")
        assert {s.attributes["found"] for s in receipts.values()} == {"journal"}
        assert sum(s.attributes["segments"] for s in receipts.values()) == 5
        assert {api.format_span_id(s.parent.span_id) for s in receipts.values()} == {TAKEN}
        assert _parents(running, SegmentsReported) == set(receipts)


async def test_what_is_not_followed_leaves_no_span_and_keeps_its_trace(carrier, worker_of, tools, exported):
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(10), traceparent=f"00-{TRACE}-{TAKEN}-00")
        await tools.until(lambda: running.check() or _reported(running) == 10)
        assert exported.get_finished_spans() == ()
        assert {e.traceparent for e in running.bus.events} == {f"00-{TRACE}-{TAKEN}-00"}
