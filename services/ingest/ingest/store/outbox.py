"""The rows that are their own outbox: chunks without `published_at`, chunks nobody has answered for, cancellations.

The payload is stored as it travels, so that publishing, also long after a crash, decodes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from bus.producer import Outgoing
from contracts.envelope import Envelope, partition_key, wrap
from contracts.events.ingest import ChunkAccepted, OutcomesMissed, TaskCancelled
from contracts.ids import event_id
from contracts.topics import ACCEPTED, CANCELLED, MISSED, lane_topic
from servicekit.database import Connection


class Outbound(NamedTuple):
    """A chunk about to be published."""

    chunk_id: UUID
    tenant: str
    enterprise: str
    lane: str
    accepted_at: int
    traceparent: str
    payload: bytes


def accepted_event(row: Outbound) -> Outgoing:
    """Return the chunk's event; the same octets under the same id however often it is asked for."""
    chunk_id = row.chunk_id.hex
    envelope: Envelope[Any] = Envelope(
        id=event_id(chunk_id, "accepted"),
        type=ChunkAccepted.__name__,
        version=1,
        key=partition_key(row.tenant, row.enterprise),
        tenant=row.tenant,
        occurred_at=row.accepted_at,
        traceparent=row.traceparent,
        data=msgspec.Raw(row.payload),
    )
    return lane_topic(ACCEPTED, row.lane), envelope


def missed_event(row: Outbound, *, at: int, label: str, seen: Sequence[str] = (), uncharged: bool = False) -> Outgoing:
    """Return the question for what dispatch, and with ``uncharged`` charging, said about the chunk and was not heard here."""
    chunk_id = row.chunk_id.hex
    data = OutcomesMissed(chunk_id=chunk_id, enterprise=row.enterprise, at=at, seen=list(seen), uncharged=uncharged)
    envelope = wrap(
        data,
        id=event_id(chunk_id, "missed", label),
        key=partition_key(row.tenant, row.enterprise),
        tenant=row.tenant,
        occurred_at=at,
        traceparent=row.traceparent,
    )
    return MISSED, envelope


_COLUMNS = "c.chunk_id, c.tenant, c.enterprise, c.lane, c.accepted_at, c.traceparent, c.payload"


class ChunkOutbox:
    """Chunks accepted and not yet published."""

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Outbound]:
        """Return unpublished chunks accepted more than ``older_than_s`` seconds ago, oldest first."""
        rows = await connection.fetch(
            f"select {_COLUMNS} from chunk_state s join chunk c using (chunk_id)"  # noqa: S608 - a constant
            " where s.published_at is null and (c.accepted_at < (extract(epoch from now()) - $1) * 1000"
            # Accepted in the future: the clock was set back, and waiting for it would delay them by as much.
            " or c.accepted_at > (extract(epoch from now()) + 60) * 1000)"
            " order by s.chunk_id limit $2",
            older_than_s, limit,
        )  # fmt: skip
        return [Outbound(*row) for row in rows]

    def events(self, row: Outbound) -> list[Outgoing]:
        """Return the one event of the row."""
        return [accepted_event(row)]

    async def mark(self, connection: Connection, rows: Sequence[Outbound]) -> None:
        """Remember that they are published."""
        ids = [row.chunk_id for row in rows]
        # The range tells the planner which days' partitions to look at, whatever plan it keeps; the order of locking is
        # the projector's, so that the two never wait for each other.
        await connection.execute(
            "with mine as (select chunk_id from chunk_state where chunk_id between $2 and $3 and chunk_id = any($1)"
            " and published_at is null order by chunk_id for update)"
            " update chunk_state s set published_at = now() from mine"
            " where s.chunk_id between $2 and $3 and s.chunk_id = mine.chunk_id",
            ids, min(ids), max(ids),
        )  # fmt: skip


class StalledChunks:
    """Published chunks some of whose messages have reached neither dispatch, nor a person, nor an end, for too long.

    The pause doubles with every sweep, so that a pipeline which is merely slow is not flooded with repetitions.
    """

    def __init__(self, first_pause_s: float) -> None:
        self._first_pause_s = first_pause_s

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Outbound]:
        """Return those waiting for more than ``older_than_s`` seconds, longest waiting first."""
        rows = await connection.fetch(
            f"select {_COLUMNS} from chunk_state s join chunk c using (chunk_id)"  # noqa: S608 - a constant
            " where s.waiting_since < now() - make_interval(secs => $1) and s.published_at is not null"
            " order by s.waiting_since limit $2",
            older_than_s, limit,
        )  # fmt: skip
        return [Outbound(*row) for row in rows]

    def events(self, row: Outbound) -> list[Outgoing]:
        """Return the chunk's event again, under the same id, and a question to dispatch.

        Where dispatch has the chunk already it takes no second release of it, and what it said may be what was lost.
        """
        return [accepted_event(row), missed_event(row, at=row.accepted_at, label="swept")]

    async def mark(self, connection: Connection, rows: Sequence[Outbound]) -> None:
        """Put the next sweep of these chunks off."""
        ids = [row.chunk_id for row in rows]
        await connection.execute(
            "with mine as (select chunk_id from chunk_state where chunk_id between $2 and $3 and chunk_id = any($1)"
            " and waiting_since is not null order by chunk_id for update)"
            " update chunk_state s set sweeps = least(s.sweeps + 1, 10), waiting_since = now()"
            " + make_interval(secs => $4 * (power(2, least(s.sweeps, 10)) - 1)) from mine"
            " where s.chunk_id between $2 and $3 and s.chunk_id = mine.chunk_id",
            ids, min(ids), max(ids), self._first_pause_s,
        )  # fmt: skip


class Withdrawn(NamedTuple):
    """A cancellation about to be published."""

    task_id: UUID
    tenant: str
    enterprise: str
    by_user: str
    at: int


class CancellationOutbox:
    """Tasks withdrawn and not yet announced."""

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Withdrawn]:
        """Return unpublished cancellations older than ``older_than_s`` seconds."""
        rows = await connection.fetch(
            "select task_id, tenant, enterprise, by_user, at from cancellation where published_at is null"
            " and created_at < now() - make_interval(secs => $1) order by created_at limit $2",
            older_than_s, limit,
        )  # fmt: skip
        return [Withdrawn(*row) for row in rows]

    def events(self, row: Withdrawn) -> list[Outgoing]:
        """Return the one event of the row."""
        data = TaskCancelled(task_id=row.task_id.hex, enterprise=row.enterprise, at=row.at, by=row.by_user)
        envelope = wrap(
            data,
            id=event_id(row.task_id.hex, "cancelled"),
            key=partition_key(row.tenant, row.enterprise),
            tenant=row.tenant,
            occurred_at=row.at,
        )
        return [(CANCELLED, envelope)]

    async def mark(self, connection: Connection, rows: Sequence[Withdrawn]) -> None:
        """Remember that they are published."""
        await connection.execute(
            "update cancellation set published_at = now() where task_id = any($1)", [row.task_id for row in rows]
        )
