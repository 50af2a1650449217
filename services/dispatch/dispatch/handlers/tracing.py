"""The spans of dispatch: a submit for each flight, a receipt for each event of receipts; only of traces that are followed.

What is not followed costs one look at one character a flight and a cycle, nothing a message.  Attributes are counts, times and
our own names: no number, no content, nothing in a carrier's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from opentelemetry.trace import Span

from contracts.events.dispatch import SegmentState
from contracts.ids import epoch_ms_of
from dispatch.domain.work import Flight, Head
from servicekit.telemetry import begin, is_sampled, traceparent_of


def submitted(flight: Flight) -> None:
    """Say in the trace which session carries a flight just written; its answers and receipts hang under this span."""
    if not flight.trace or not is_sampled(flight.trace):
        return
    span = begin(
        "dispatch.submit",
        flight.trace,
        chunk_id=flight.head.chunk_id,
        link=flight.link,
        slot=flight.slot,
        segments=len(flight.indices),
        attempt=flight.attempt,
    )
    span.end()
    flight.trace = traceparent_of(span)


def receipt(
    head: Head,
    trace: str,
    *,
    link: str,
    states: Iterable[SegmentState],
    found: str,
    now_ms: int,
    submitted_at: int = 0,
) -> Span | None:
    """Return the span of receipts of one chunk, None where its trace is not followed; end it when they are durable.

    ``trace`` is the parent, ``found`` how the segments were found, ``submitted_at`` Unix ms, 0 when not known here.
    """
    if not trace or not is_sampled(trace):
        return None
    counts = Counter(state.value for state in states)
    span = begin(
        "dispatch.receipt",
        trace,
        chunk_id=head.chunk_id,
        link=link,
        found=found,
        segments=counts.total(),
        accept_to_receipt_ms=now_ms - epoch_ms_of(head.chunk_id),
    )
    for state, count in counts.items():
        span.set_attribute(f"segments.{state}", count)
    if submitted_at:
        span.set_attribute("submit_to_receipt_ms", now_ms - submitted_at)
    return span
