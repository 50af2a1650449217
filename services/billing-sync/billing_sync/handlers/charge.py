"""Dispatch's outcomes become answers and closures, in the transaction that moves the offset.

A batch of any events of any chunks is one round: load the books under lock, apply in order, write arrays back.
"""

from __future__ import annotations

from collections import Counter

from billing_sync import metrics
from billing_sync.domain.book import Book, fault_of
from billing_sync.domain.vector import Stage
from billing_sync.store import ledger, tariffs
from bus.handling import Effect
from bus.records import Batch, Invalid, Record
from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentsAnswered, SegmentsReported
from contracts.ids import IdError, epoch_ms_of
from servicekit.clock import Clock
from servicekit.database import Connection

_OURS = (SegmentsAnswered, SegmentsReported, MessagesClosed)


class ChargeOutcomes:
    """The handler of `dispatch.outcomes.<lane>`."""

    def __init__(self, clock: Clock) -> None:
        """``clock`` says when a record closes."""
        self._clock = clock

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Apply the batch."""
        events: list[Record] = []
        invalid: list[Invalid] = []
        for record in batch:
            event = record.data
            if not isinstance(event, _OURS) or (
                isinstance(event, MessagesClosed) and event.cause is not CloseCause.NO_RECEIPT
            ):
                continue
            if fault := _fault(event):
                invalid.append(Invalid(record, "outcome_inconsistent", fault))
            else:
                events.append(record)
        if events:
            await self._apply(tx, events, batch.lane.value if batch.lane else "")
        return Effect(invalid=invalid)

    async def _apply(self, tx: Connection, events: list[Record], lane: str) -> None:
        owners = {r.data.chunk_id: (r.envelope.tenant, r.data.enterprise) for r in events}
        calendar = await tariffs.calendar(
            tx, {r.envelope.tenant for r in events if isinstance(r.data, SegmentsAnswered)}
        )
        books = await ledger.load(tx, owners)
        early = {chunk_id: set(book.early) for chunk_id, book in books.items()}
        now = self._clock.wall_ms()
        for record in events:
            event = record.data
            book = books[event.chunk_id]
            before = len(book.answers), len(book.closures)
            if isinstance(event, SegmentsAnswered):
                tenant = record.envelope.tenant
                book.answered(event, tenant=tenant, lane=lane, tariff=calendar.at(tenant, event.at), now=now)
            elif isinstance(event, SegmentsReported):
                book.reported(event, now=now)
            else:
                book.closed(event, now=now)
            if record.span is not None:
                _say(record, book, *before)
        await ledger.save(tx, books.values(), early)
        for book in books.values():
            observe(book, lane)


def observe(book: Book, lane: str) -> None:
    """Count what a book became."""
    metrics.ANSWERED.labels(lane).inc(sum(len(answer.indices) for answer in book.answers))
    stages = Counter(stage for closure in book.closures for stage in closure.stages)
    for stage, count in stages.items():
        metrics.CLOSED.labels(Stage(stage).label).inc(count)
    metrics.REPEATED.inc(book.repeated)
    metrics.LATE.inc(book.late)


def _say(record: Record, book: Book, answers: int, closures: int) -> None:
    """Say in a followed trace which records the event opened and closed; what is closed here goes on in its file."""
    assert record.span is not None, "asked for a followed trace only"
    record.span.set_attribute("chunk_id", book.chunk_id)
    if opened := sum(len(answer.indices) for answer in book.answers[answers:]):
        record.span.set_attribute("records.opened", opened)
    made = book.closures[closures:]
    for stage, count in Counter(stage for closure in made for stage in closure.stages).items():
        record.span.set_attribute(f"records.{Stage(stage).label}", count)
    for closure in made:
        closure.trace = record.traceparent


def _fault(event: SegmentsAnswered | SegmentsReported | MessagesClosed) -> str:
    try:
        epoch_ms_of(event.chunk_id)
    except IdError:
        return "chunk_id is no chunk id"
    return fault_of(event)
