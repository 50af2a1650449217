"""Publish decided tasks: the parts are the outbox (bus `RelaySource`), so a crash anywhere only repeats the same
events.

Boundary: what is due and final was settled by the clockwork; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec

from bus.producer import Outgoing
from contracts import envelope, ids, topics
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from contracts.events.spamfilter import ChunkScreened
from review.domain.item import ItemState, said
from review.store import releases
from review.store.releases import DecidedChunk, DecidedPart
from servicekit.database import Connection

_decode = msgspec.json.Decoder(ChunkScreened).decode


class Releases:
    """The relay's source."""

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> Sequence[DecidedChunk]:
        """Return what is to be published, oldest first.  Age plays no part: `final_at` says what may go."""
        await releases.gather(connection)
        return await releases.unpublished(connection, limit)

    def events(self, row: DecidedChunk) -> Sequence[Outgoing]:
        """Return the releases and decisions of one chunk; the same row always gives the same events."""
        chunk = _decode(row.payload).chunk
        head: dict[str, Any] = {
            "key": envelope.partition_key(chunk.tenant, chunk.enterprise),
            "tenant": chunk.tenant,
            "traceparent": row.traceparent,
            "occurred_at": row.at,
        }
        made: list[Outgoing] = []
        for number, (key, group) in enumerate(groupby(sorted(row.parts, key=_alike), key=_alike)):
            decision, reason, by, note = key
            parts = list(group)
            tasks = {part.task_id for part in parts}
            every = sorted(index for part in parts for index in part.indices)
            indices = None if len(every) == len(chunk.recipients) else every
            label = f"{row.part}.{row.batch}.{number}"
            if decision is Decision.RELEASED:
                release_id = ids.event_id(row.chunk_id, "released", label)
                released = ChunkReleased(release_id, chunk, row.at, reason, indices, by)
                topic = topics.lane_topic(topics.RELEASED, row.lane)
                made.append((topic, envelope.wrap(released, id=release_id, **head)))
            task = next(iter(tasks)) if len(tasks) == 1 else ""
            decided = MessagesDecided(row.chunk_id, decision, row.at, task, indices, reason, by, note)
            event_id = ids.event_id(row.chunk_id, "decided", label)
            made.append((topics.lane_topic(topics.DECIDED, row.lane), envelope.wrap(decided, id=event_id, **head)))
        return made

    async def mark(self, connection: Connection, rows: Sequence[DecidedChunk]) -> None:
        """Record what the broker acknowledged."""
        await releases.mark(connection, list(rows))


def _alike(part: DecidedPart) -> tuple[Decision, str, str, str]:
    decision = said(ItemState(part.state))
    if decision is not Decision.RELEASED:
        return decision, part.cited or decision.value, part.by, part.note
    return decision, "fastlane" if part.fast_lane else "approved", part.by, part.note
