"""What an event makes of the states of a chunk's messages: pure, idempotent per event id, indifferent to order across topics.

Rules (docs/api.md, "States"): block ends a message; a review's refusal, expiry or withdrawal ends it; a carrier's refusal or a failed
segment fails it; it is delivered when all its segments are.  A message of several segments has a small vector of its own; the others
live in the chunk's one octet each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from contracts.events.billing import SegmentsCharged
from contracts.events.dispatch import (
    CloseCause,
    MessagesClosed,
    MessagesQueued,
    SegmentsAnswered,
    SegmentsReported,
    SegmentState,
    SegmentsUncertain,
)
from contracts.events.review import Decision, MessagesDecided
from contracts.events.spamfilter import ChunkJudged, Verdict
from contracts.states import State, stronger
from ingest.domain import vectors
from ingest.domain.identity import single_of_task

_DECIDED: dict[Decision, vectors.Table] = {
    Decision.HELD: vectors.RAISE[State.HELD],
    Decision.CLAIMED: vectors.RAISE[State.HELD],
    Decision.RELEASED: vectors.RELEASE,
    Decision.REJECTED: vectors.RAISE[State.REJECTED],
    Decision.OUTSIDE_REVIEW_HOURS: vectors.RAISE[State.REJECTED],
    Decision.OUTSIDE_SENDING_WINDOW: vectors.RAISE[State.REJECTED],
    Decision.PORT_SUSPENDED: vectors.RAISE[State.REJECTED],
    Decision.EXPIRED: vectors.RAISE[State.EXPIRED],
    Decision.WITHDRAWN: vectors.RAISE[State.CANCELLED],
}

CLOSED: dict[CloseCause, State] = {
    CloseCause.EXPIRED: State.EXPIRED,
    CloseCause.CANCELLED: State.CANCELLED,
    CloseCause.OPTED_OUT: State.BLOCKED,
    CloseCause.FREQUENCY_CAP: State.BLOCKED,
    CloseCause.NO_ROUTE: State.FAILED,
    CloseCause.CARRIER_REFUSED: State.FAILED,
    CloseCause.NO_RECEIPT: State.UNKNOWN,
}

REPORTED: dict[SegmentState, State] = {
    SegmentState.DELIVERED: State.DELIVERED,
    SegmentState.FAILED: State.FAILED,
    SegmentState.EXPIRED: State.EXPIRED,
    # The SMSC's REJECTD: a failure on the carrier's side.  Our own state `rejected` is a reviewer's.
    SegmentState.REJECTED: State.FAILED,
    SegmentState.UNKNOWN: State.UNKNOWN,
}

_segs_decoder = msgspec.msgpack.Decoder(dict[int, bytes])


class ChunkState:
    """The states of one chunk while events are applied to it."""

    __slots__ = ("codes", "segs", "uncharged", "vector")

    def __init__(self, vector: bytes, segs: bytes | None, uncharged: int = 0) -> None:
        """``segs`` is the stored form of `packed_segments`; ``uncharged``: segments accepted by carriers less those charged."""
        self.vector = bytearray(vector)
        self.segs: dict[int, bytearray] = (
            {index: bytearray(states) for index, states in _segs_decoder.decode(segs).items()} if segs else {}
        )
        self.uncharged = uncharged
        self.codes: dict[int, str] = {}
        """Why messages ended, by index, as far as the events applied said so: what a webhook tells."""

    @property
    def waiting(self) -> bool:
        """Whether some message has not reached dispatch, a person or an end: the sweeper's sign."""
        return State.ACCEPTED in self.vector or State.RELEASED in self.vector

    @property
    def unsettled(self) -> bool:
        """Whether, with nothing waiting, a final state or a charge is still to come: the other sweeper's sign.

        A segment accepted twice counts twice and is charged once; such a chunk is asked about some times in vain.
        """
        return not self.waiting and (self.uncharged > 0 or not vectors.all_final(self.vector))

    def packed_segments(self) -> bytes | None:
        """Return the segment vectors as stored, or None when every message is one segment."""
        return pack_segments(self.segs) if self.segs else None


def pack_segments(segs: dict[int, bytearray]) -> bytes:
    """Return the stored form of segment vectors: msgpack of {index: one octet a segment}."""
    return msgspec.msgpack.encode({index: bytes(states) for index, states in segs.items()})


def initial_segments(parts: bytes) -> bytes | None:
    """Return the stored segment vectors of a chunk just accepted whose messages have so many segments each."""
    if parts.count(1) == len(parts):
        return None
    return pack_segments({index: bytearray(count) for index, count in enumerate(parts) if count > 1})


def apply(chunk: ChunkState, event: Any) -> None:
    """Change ``chunk`` by one event; raises TypeError for an event that says nothing about messages."""
    try:
        rule = _RULES[type(event)]
    except KeyError:
        raise TypeError(f"{type(event).__name__} says nothing about the messages of a chunk") from None
    rule(chunk, event)


def _raise(chunk: ChunkState, indices: Iterable[int] | None, table: vectors.Table) -> None:
    if indices is None:
        vectors.raise_all(chunk.vector, table)
    else:
        vectors.raise_some(chunk.vector, indices, table)


def _judged(chunk: ChunkState, event: ChunkJudged) -> None:
    for judgement in event.judgements:
        if judgement.verdict is Verdict.BLOCK:
            indices = range(judgement.first, judgement.first + judgement.count)
            _raise(chunk, indices, vectors.RAISE[State.BLOCKED])
            chunk.codes.update(dict.fromkeys(indices, judgement.reason))


def _decided(chunk: ChunkState, event: MessagesDecided) -> None:
    indices: Iterable[int] | None = event.indices
    if indices is None and event.task_id:
        single = single_of_task(event.task_id)
        if single is not None:
            indices = [single[1]]
    _raise(chunk, indices, _DECIDED[event.decision])
    if event.decision not in (Decision.HELD, Decision.CLAIMED, Decision.RELEASED):
        code = event.decision.value if event.decision is not Decision.REJECTED else event.reason or event.decision.value
        chunk.codes.update(dict.fromkeys(range(len(chunk.vector)) if indices is None else indices, code))


def _queued(chunk: ChunkState, event: MessagesQueued) -> None:
    _raise(chunk, event.indices, vectors.SCHEDULE if event.not_before else vectors.RAISE[State.QUEUED])


def _answered(chunk: ChunkState, event: SegmentsAnswered) -> None:
    chunk.uncharged += event.statuses.count(0)
    submitted = vectors.RAISE[State.SUBMITTED]
    if not chunk.segs and not any(event.statuses) and event.totals.count(1) == len(event.totals):
        # The usual event: single segments, all accepted.
        _raise(chunk, event.indices, submitted)
        return
    rows = zip(event.indices, event.segments, event.totals, event.statuses, strict=True)
    for index, segment, total, status in rows:
        if status:
            chunk.codes[index] = f"carrier:{status}"
        _segment(chunk, index, segment, total, State.FAILED if status else State.SUBMITTED)


def _reported(chunk: ChunkState, event: SegmentsReported) -> None:
    if not chunk.segs and event.totals.count(1) == len(event.totals):
        vector, size = chunk.vector, len(chunk.vector)
        for index, state, code in zip(event.indices, event.states, event.codes, strict=True):
            if 0 <= index < size:
                vector[index] = vectors.RAISE[REPORTED[state]][vector[index]]
                if state is not SegmentState.DELIVERED:
                    chunk.codes[index] = code
        return
    rows = zip(event.indices, event.segments, event.totals, event.states, event.codes, strict=True)
    for index, segment, total, state, code in rows:
        if state is not SegmentState.DELIVERED:
            chunk.codes[index] = code
        _segment(chunk, index, segment, total, REPORTED[state])


def _uncertain(chunk: ChunkState, event: SegmentsUncertain) -> None:
    for index, segment in zip(event.indices, event.segments, strict=True):
        total = len(chunk.segs[index]) if index in chunk.segs else 1
        _segment(chunk, index, segment, max(total, segment), State.UNCERTAIN)


def _closed(chunk: ChunkState, event: MessagesClosed) -> None:
    _raise(chunk, event.indices, vectors.RAISE[CLOSED[event.cause]])
    code = f"carrier:{event.code}" if event.cause is CloseCause.CARRIER_REFUSED and event.code else event.cause.value
    for index in event.indices:
        # A carrier's answer that came first says more than the cause.
        chunk.codes.setdefault(index, code)


def _charged(chunk: ChunkState, event: SegmentsCharged) -> None:
    """A charge is part of the timeline and changes no state."""
    chunk.uncharged -= len(event.indices)


def _segment(chunk: ChunkState, index: int, segment: int, total: int, new: State) -> None:
    """Raise one segment, and its message by all of its segments."""
    if not 0 <= index < len(chunk.vector) or not 1 <= segment <= total:
        return
    if total == 1 and index not in chunk.segs:
        state: State | None = new
    else:
        states = chunk.segs.get(index)
        if states is None or len(states) < total:
            # A link whose segments are smaller than assumed at acceptance: its own count stands.
            states = bytearray((states or b"").ljust(total, b"\0"))
        elif len(states) > total:
            states = states[:total]
        chunk.segs[index] = states
        states[segment - 1] = stronger(states[segment - 1], new)
        state = vectors.of_segments(states)
    if state is not None:
        chunk.vector[index] = stronger(chunk.vector[index], state)


_RULES: dict[type, Callable[[ChunkState, Any], None]] = {
    ChunkJudged: _judged,
    MessagesDecided: _decided,
    MessagesQueued: _queued,
    SegmentsAnswered: _answered,
    SegmentsReported: _reported,
    SegmentsUncertain: _uncertain,
    MessagesClosed: _closed,
    SegmentsCharged: _charged,
}

CHUNK_EVENTS = frozenset(_RULES)
"""Events that `apply` takes."""
