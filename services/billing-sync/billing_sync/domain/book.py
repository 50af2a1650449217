"""A chunk's book: events of dispatch in, rows of answers and closures out, each segment at most once.

Whatever is repeated, doubled or out of order: a segment opens with its first accepted answer and closes with its first
final receipt, or as unknown; nothing else writes a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from billing_sync.domain.columns import one_of
from billing_sync.domain.vector import EARLY, MARK, MAX_INDEX, MAX_SEGMENT, Stage, Vector, stage_of
from contracts.events.dispatch import MessagesClosed, SegmentsAnswered, SegmentsReported, SegmentState

ACCEPTED = 0
"""The carriers' result code of an accepted submit; anything else is never charged."""

_CLOSING: Mapping[SegmentState, Stage] = {
    SegmentState.DELIVERED: Stage.DELIVERED,
    SegmentState.FAILED: Stage.FAILED,
    SegmentState.EXPIRED: Stage.EXPIRED,
    SegmentState.REJECTED: Stage.REJECTED,
}
"""A receipt that says `unknown` says nothing final: the segment stays open until a better one, or the term."""


@dataclass(slots=True)
class Answer:
    """Accepted segments of one answer batch; lists run in parallel."""

    chunk_id: str
    tenant: str
    enterprise: str
    lane: str
    link: str
    carrier: str
    protocol: str
    batch: int
    at: int
    tariff: int
    indices: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    recipients: list[int] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    carrier_ids: list[str] = field(default_factory=list)
    task_ids: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Closure:
    """Records that close together; lists run in parallel."""

    chunk_id: str
    at: int
    """When they closed here, Unix ms: it decides the interval and so the file."""
    indices: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    done_at: list[int] = field(default_factory=list)
    """Unix ms from the receipt, 0 where there is none."""
    marked: list[bool] = field(default_factory=list)
    trace: str | None = None
    """The trace context its file's event continues, None where the trace is not followed."""

    def add(self, index: int, segment: int, stage: Stage, code: str, done_at: int, *, marked: bool) -> None:
        """Add one record."""
        self.indices.append(index)
        self.segments.append(segment)
        self.stages.append(stage)
        self.codes.append(code)
        self.done_at.append(done_at)
        self.marked.append(marked)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an early receipt said."""

    code: str
    done_at: int


@dataclass(slots=True)
class Book:
    """One chunk while a batch of events is applied to it."""

    chunk_id: str
    vector: Vector
    tenant: str
    enterprise: str
    first_open_at: int = 0
    """The oldest answer that is still open, Unix ms, 0 when none: from it the term runs."""
    early: dict[tuple[int, int], Receipt] = field(default_factory=dict)
    """Receipts that came before their answers."""
    answers: list[Answer] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    repeated: int = 0
    """Answers to segments answered before."""
    late: int = 0
    """Receipts of records that are closed."""

    def answered(self, event: SegmentsAnswered, *, tenant: str, lane: str, tariff: int, now: int) -> None:
        """Open the segments the carrier accepted."""
        row = Answer(
            chunk_id=self.chunk_id,
            tenant=tenant,
            enterprise=event.enterprise,
            lane=lane,
            link=event.link,
            carrier=event.carrier,
            protocol=event.protocol,
            batch=event.batch,
            at=event.at,
            tariff=tariff,
        )
        if self._all_opened(event, row):
            return
        closure = Closure(self.chunk_id, now)
        again = frozenset(event.resent)
        for position, status in enumerate(event.statuses):
            if status != ACCEPTED:
                continue
            index, segment = event.indices[position], event.segments[position]
            octet = self.vector.get(index, segment)
            mark = MARK if position in again or octet & MARK else 0
            if octet & EARLY:
                receipt = self.early.pop((index, segment))
                stage = stage_of(octet)
                self.vector.set(index, segment, stage | mark)
                _copy(row, event, position)
                closure.add(index, segment, stage, receipt.code, receipt.done_at, marked=bool(mark))
            elif stage_of(octet) is Stage.NONE:
                self.vector.set(index, segment, Stage.OPEN | mark)
                self.first_open_at = min(self.first_open_at or event.at, event.at)
                _copy(row, event, position)
            else:
                # Sent twice because the first answer was not seen, and both were answered: one charge, marked.
                self.vector.set(index, segment, octet | MARK)
                self.repeated += 1
        if row.indices:
            self.answers.append(row)
        if closure.indices:
            self.closures.append(closure)

    def _all_opened(self, event: SegmentsAnswered, row: Answer) -> bool:
        """Open all of an event's segments at once where nothing about any is special: what nearly every event is."""
        if event.resent or not event.indices or any(event.statuses):
            return False
        places = self.vector.places(event.indices, event.segments)
        if places is None or any(self.vector.at(places)):
            return False
        self.vector.put(places, Stage.OPEN)
        self.first_open_at = min(self.first_open_at or event.at, event.at)
        row.indices, row.segments, row.totals = event.indices, event.segments, event.totals
        row.recipients, row.carrier_ids = event.recipients, event.carrier_ids
        row.senders, row.task_ids, row.refs = event.senders, event.task_ids, event.refs
        self.answers.append(row)
        return True

    def reported(self, event: SegmentsReported, *, now: int) -> None:
        """Close segments by their receipts."""
        closure = Closure(self.chunk_id, now)
        if self._all_closed(event, closure):
            return
        for position, state in enumerate(event.states):
            stage = _CLOSING.get(state)
            if stage is None:
                continue
            index, segment = event.indices[position], event.segments[position]
            code, done_at = event.codes[position], event.done_at[position]
            octet = self.vector.get(index, segment)
            if octet & EARLY or stage_of(octet) >= Stage.DELIVERED:
                self.late += 1
            elif stage_of(octet) is Stage.NONE:
                self.vector.set(index, segment, stage | EARLY)
                self.early[index, segment] = Receipt(code, done_at)
            else:
                self.vector.set(index, segment, stage | octet & MARK)
                closure.add(index, segment, stage, code, done_at, marked=bool(octet & MARK))
        if closure.indices:
            self.closures.append(closure)

    def _all_closed(self, event: SegmentsReported, closure: Closure) -> bool:
        """Close all of an event's segments at once where all are open and one state closes them."""
        states = event.states
        if not states or states.count(states[0]) != len(states) or states[0] not in _CLOSING:
            return False
        places = self.vector.places(event.indices, event.segments)
        if places is None or self.vector.at(places) != bytes([Stage.OPEN]) * len(places):
            return False
        stage = _CLOSING[states[0]]
        self.vector.put(places, stage)
        closure.indices, closure.segments = event.indices, event.segments
        closure.stages = [int(stage)] * len(places)
        closure.codes, closure.done_at = event.codes, event.done_at
        closure.marked = [False] * len(places)
        self.closures.append(closure)
        return True

    def closed(self, event: MessagesClosed, *, now: int) -> None:
        """Close as unknown what dispatch no longer expects a receipt for."""
        keys = [(i, s) for i in event.indices for s in self.vector.segments_in(i, Stage.OPEN)]
        self.give_up(keys, event.code, now=now)

    def give_up(self, keys: Sequence[tuple[int, int]], code: str, *, now: int) -> None:
        """Close open segments as unknown."""
        closure = Closure(self.chunk_id, now)
        for index, segment in keys:
            octet = self.vector.get(index, segment)
            if octet & EARLY or stage_of(octet) is not Stage.OPEN:
                continue
            self.vector.set(index, segment, Stage.UNKNOWN | octet & MARK)
            closure.add(index, segment, Stage.UNKNOWN, code, 0, marked=bool(octet & MARK))
        if closure.indices:
            self.closures.append(closure)


def _copy(row: Answer, event: SegmentsAnswered, position: int) -> None:
    row.indices.append(event.indices[position])
    row.segments.append(event.segments[position])
    row.totals.append(event.totals[position])
    row.recipients.append(event.recipients[position])
    row.carrier_ids.append(event.carrier_ids[position])
    row.senders.append(one_of(event.senders, position))
    row.task_ids.append(one_of(event.task_ids, position))
    row.refs.append(one_of(event.refs, position))


def fault_of(event: SegmentsAnswered | SegmentsReported | MessagesClosed) -> str:
    """Return what is inconsistent in an event, free of contents; empty when nothing is."""
    size = len(event.indices)
    if size and not (min(event.indices) >= 0 and max(event.indices) < MAX_INDEX):
        return f"an index is not in 0..{MAX_INDEX - 1}"
    if isinstance(event, MessagesClosed):
        return ""
    if event.segments and not (min(event.segments) >= 1 and max(event.segments) <= MAX_SEGMENT):
        return f"a segment is not in 1..{MAX_SEGMENT}"
    if isinstance(event, SegmentsReported):
        exact = (event.segments, event.totals, event.states, event.codes, event.done_at)
        shared: tuple[list[str], ...] = ()
    else:
        exact = (event.segments, event.totals, event.statuses, event.carrier_ids, event.recipients)  # type: ignore[assignment]
        shared = (event.senders, event.task_ids, event.refs)
        if any(not 0 <= position < size for position in event.resent):
            return "a resent position is outside the lists"
    if any(len(values) != size for values in exact) or any(len(values) not in {0, 1, size} for values in shared):
        return "lists of one event differ in length"
    return ""
