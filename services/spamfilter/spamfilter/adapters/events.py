"""The events spamfilter says, in their envelopes, and the names of the topics they go to."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.producer import Outgoing
from contracts import topics
from contracts.chunk import Chunk
from contracts.envelope import partition_key, wrap
from contracts.ids import event_id
from contracts.lanes import LANES, Lane
from spamfilter.domain.chunks import CODE_SENDER, Outcome


def _lanes(stage: str) -> dict[Lane, str]:
    return {lane: topics.lane_topic(stage, lane) for lane in LANES}


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Where events come from and go to; a cluster shared by installations has names of its own."""

    accepted: dict[Lane, str] = field(default_factory=lambda: _lanes(topics.ACCEPTED))
    screened: dict[Lane, str] = field(default_factory=lambda: _lanes(topics.SCREENED))
    judged: dict[Lane, str] = field(default_factory=lambda: _lanes(topics.JUDGED))
    counted: str = topics.COUNTED


def counted_events(names: TopicNames, chunk: Chunk, outcome: Outcome, traceparent: str) -> list[Outgoing]:
    """Return the counts that must be in the log before anything else of the chunk is published."""
    key = partition_key(chunk.tenant, chunk.enterprise)
    return [
        (
            names.counted,
            wrap(
                counted,
                id=event_id(
                    chunk.chunk_id,
                    "counted-code" if counted.sender.startswith(CODE_SENDER) else "counted",
                    counted.first,
                ),
                key=key,
                tenant=chunk.tenant,
                occurred_at=counted.at,
                traceparent=traceparent,
            ),
        )
        for counted in outcome.counted
    ]


def outcome_events(names: TopicNames, chunk: Chunk, outcome: Outcome, traceparent: str) -> list[Outgoing]:
    """Return what review and ingest shall know of the chunk."""
    key = partition_key(chunk.tenant, chunk.enterprise)
    at = outcome.judged.screened_at
    events = [
        (
            names.screened[lane],
            wrap(
                screened,
                id=event_id(chunk.chunk_id, "screened", screened.part),
                key=key,
                tenant=chunk.tenant,
                occurred_at=at,
                traceparent=traceparent,
            ),
        )
        for lane, screened in outcome.screened
    ]
    judged = wrap(
        outcome.judged,
        id=event_id(chunk.chunk_id, "judged"),
        key=key,
        tenant=chunk.tenant,
        occurred_at=at,
        traceparent=traceparent,
    )
    return [*events, (names.judged[chunk.lane], judged)]
