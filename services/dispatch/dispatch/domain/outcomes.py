"""The events dispatch publishes, made from flights; each one is of one chunk.  Pure.

Event ids are derived from the chunk, the stage and the journal's batch number, so publishing again changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from carrier.model import ReportState
from contracts import envelope, ids, topics
from contracts.events.dispatch import (
    CloseCause,
    MessagesClosed,
    MessagesQueued,
    SegmentsAnswered,
    SegmentsReported,
    SegmentState,
    SegmentsUncertain,
)
from contracts.lanes import LANES
from dispatch.domain.work import Flight, Head, Release

CHINA = timedelta(hours=8)

STATES: dict[ReportState, SegmentState] = {
    ReportState.DELIVERED: SegmentState.DELIVERED,
    ReportState.EXPIRED: SegmentState.EXPIRED,
    ReportState.DELETED: SegmentState.FAILED,
    ReportState.UNDELIVERABLE: SegmentState.FAILED,
    ReportState.REJECTED: SegmentState.REJECTED,
    ReportState.ACCEPTED: SegmentState.UNKNOWN,
    ReportState.UNKNOWN: SegmentState.UNKNOWN,
}
"""Final states of a receipt (reference 5.14); ENROUTE is not in it: it is stored and says nothing final."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """An event as it goes into the outbox and onto the bus."""

    id: int
    topic: str
    key: str
    type: str
    trace: str
    payload: bytes
    said: envelope.Envelope[Any] | None = None
    """What ``payload`` encodes, where it was made in this process."""


def outcome(head: Head, data: Any, stage: str, batch: int, at: int, trace: str = "") -> Outgoing:
    """Return ``data`` wrapped for the outcomes topic of the release's lane; ``batch`` numbers it and is its outbox id.

    ``trace`` is the trace context it continues, the release's own when empty.
    """
    trace = trace or head.traceparent
    event = envelope.wrap(
        data,
        id=ids.event_id(head.chunk_id, stage, batch),
        key=head.ekey,
        tenant=head.tenant,
        occurred_at=at,
        traceparent=trace,
    )
    topic = topics.lane_topic(topics.OUTCOMES, LANES[head.lane])
    return Outgoing(batch, topic, head.ekey, event.type, trace, envelope.encode(event), event)


def answered(
    flight: Flight,
    release: Release,
    places: list[tuple[int, int, str]],
    batch: int,
    at: int,
    carrier: str,
    protocol: str,
) -> SegmentsAnswered:
    """Return the event for some answers of a flight: (place, status, carrier id)."""
    chunk = release.chunk
    indices = [flight.indices[p] for p, _, _ in places]
    senders = release.senders if release.senders is not None else [chunk.entry_of(i).port for i in indices]
    task_ids = release.task_ids if release.task_ids is not None else [chunk.entry_of(i).task_id for i in indices]
    refs = release.refs if release.refs is not None else [chunk.entry_of(i).ref for i in indices]
    recipients = chunk.recipients
    return SegmentsAnswered(
        chunk_id=flight.head.chunk_id,
        enterprise=flight.head.enterprise,
        link=flight.link,
        slot=flight.slot,
        epoch=flight.epoch,
        batch=batch,
        at=at,
        protocol=protocol,
        carrier=carrier,
        indices=indices,
        segments=[flight.segs[p] for p, _, _ in places],
        totals=[flight.totals[p] for p, _, _ in places],
        statuses=[status for _, status, _ in places],
        carrier_ids=[cid for _, _, cid in places],
        recipients=[recipients[i] for i in indices],
        senders=senders,
        task_ids=task_ids,
        refs=refs,
        resent=list(range(len(places))) if flight.kind == RESEND else [],
    )


FIRST, RETRY, RESEND = 0, 1, 2
"""Kinds of items and flights: first submit, retry after an answer, resend of what is uncertain."""


def reported(
    head: Head,
    link: str,
    batch: int,
    at: int,
    rows: list[tuple[int, int, int, SegmentState, str, int]],
) -> SegmentsReported:
    """Return the event for receipts: rows of (index, segment, total, state, code, done at)."""
    return SegmentsReported(
        chunk_id=head.chunk_id,
        enterprise=head.enterprise,
        link=link,
        batch=batch,
        at=at,
        indices=[row[0] for row in rows],
        segments=[row[1] for row in rows],
        totals=[row[2] for row in rows],
        states=[row[3] for row in rows],
        codes=[row[4] for row in rows],
        done_at=[row[5] for row in rows],
    )


def uncertain(
    head: Head, link: str, slot: int, epoch: int, at: int, pairs: list[tuple[int, int]], rule: str
) -> SegmentsUncertain:
    """Return the event for segments whose answer was not seen: pairs of (index, segment)."""
    return SegmentsUncertain(
        chunk_id=head.chunk_id,
        enterprise=head.enterprise,
        link=link,
        slot=slot,
        epoch=epoch,
        at=at,
        indices=[i for i, _ in pairs],
        segments=[s for _, s in pairs],
        rule=rule,
    )


def closed(head: Head, at: int, indices: list[int], cause: CloseCause, code: str = "") -> MessagesClosed:
    """Return the event for messages that ended here."""
    return MessagesClosed(
        chunk_id=head.chunk_id, enterprise=head.enterprise, at=at, indices=indices, cause=cause, code=code
    )


def queued(head: Head, at: int, indices: list[int] | None, not_before: int) -> MessagesQueued:
    """Return the event for messages taken into the queue."""
    return MessagesQueued(chunk_id=head.chunk_id, at=at, indices=indices, not_before=not_before)


@lru_cache(maxsize=4096)
def wire_time_ms(text: str) -> int:
    """Return Unix ms of a receipt's ``YYMMDDhhmm[ss]`` (Chinese time), 0 when it is none.

    Cached: receipts of one minute all say the same.
    """
    digits = text[2:] if len(text) == 14 and text.startswith("20") else text
    if len(digits) not in {10, 12} or not digits.isdecimal():
        return 0
    try:
        parsed = datetime.strptime(digits.ljust(12, "0"), "%y%m%d%H%M%S").replace(tzinfo=UTC) - CHINA
    except ValueError:
        return 0
    return int(parsed.timestamp() * 1000)
