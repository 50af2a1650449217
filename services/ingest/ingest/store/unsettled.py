"""What the bus may have lost after it acknowledged it: chunks with an outcome or a charge still to come, and withdrawals.

The bus is transport and a broker does not fsync, so silence is answered by asking: dispatch for the outcomes in its journal, review
(by the chunk itself) for its decision, both for the end of a withdrawal.  Every answer has the id it had the first time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from bus.producer import Outgoing
from contracts.events.dispatch import (
    MessagesClosed,
    MessagesQueued,
    SegmentsAnswered,
    SegmentsReported,
    SegmentsUncertain,
)
from contracts.states import State
from ingest.domain import vectors
from ingest.domain.identity import single_of_task
from ingest.store.outbox import CancellationOutbox, Outbound, Withdrawn, accepted_event, missed_event
from servicekit.database import Connection

GROWTH = 4
"""Each pause is so many times the one before: most of what is asked about only waits for a phone that is off."""

MOST_ASKED = 6
"""Then nobody asks any more: with 15 minutes for the first pause that is 14 days after the last event."""

MOST_SEEN = 2_000
"""Ids of events named in a question; above it everything is said again, which is harmless."""

_HELD = bytes([State.HELD])
_WITH_DISPATCH = bytes([State.SCHEDULED, State.QUEUED, State.SUBMITTED, State.UNCERTAIN])
_SAID_BY_DISPATCH = [
    event.__name__ for event in (MessagesQueued, SegmentsAnswered, SegmentsReported, SegmentsUncertain, MessagesClosed)
]


class Unsettled(NamedTuple):
    """A chunk somebody is asked about."""

    outbound: Outbound
    state: bytes
    uncharged: int
    asked: int
    now: int
    seen: list[str]


class UnsettledChunks:
    """Chunks dispatch or a person has, whose last events are overdue."""

    def __init__(self, first_pause_s: float) -> None:
        self._first_pause_s = first_pause_s

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Unsettled]:
        """Return those unsettled for more than ``older_than_s`` seconds, longest first."""
        rows = await connection.fetch(
            "select c.chunk_id, c.tenant, c.enterprise, c.lane, c.accepted_at, c.traceparent,"
            " case when position($3 in s.state) > 0 then c.payload else ''::bytea end, s.state, s.uncharged, s.asked,"
            " (extract(epoch from now()) * 1000)::bigint,"
            " array(select substr(j.event_id, 34) from journal j where j.chunk_id = s.chunk_id and j.kind = any($5) limit $4)"
            " from chunk_state s join chunk c using (chunk_id)"
            " where s.unsettled_since < now() - make_interval(secs => $1) order by s.unsettled_since limit $2",
            older_than_s, limit, _HELD, MOST_SEEN + 1, _SAID_BY_DISPATCH,
        )  # fmt: skip
        return [Unsettled(Outbound(*row[:7]), *row[7:]) for row in rows]

    def events(self, row: Unsettled) -> list[Outgoing]:
        """Return the chunk again where a person has some of it, and the question to dispatch where it has."""
        events: list[Outgoing] = []
        if vectors.any_of(row.state, _HELD):
            # Review answers a chunk it knows with what became of it, and a decision lost on its way is made known again.
            events.append(accepted_event(row.outbound))
        if row.uncharged > 0 or vectors.any_of(row.state, _WITH_DISPATCH):
            events.append(_question(row))
        return events

    async def mark(self, connection: Connection, rows: Sequence[Unsettled]) -> None:
        """Put the next question about these chunks off, or ask no more."""
        ids = [row.outbound.chunk_id for row in rows]
        await connection.execute(
            "with mine as (select chunk_id from chunk_state where chunk_id between $2 and $3 and chunk_id = any($1)"
            " and unsettled_since is not null order by chunk_id for update)"
            " update chunk_state s set asked = s.asked + 1, unsettled_since = case when s.asked + 1 < $5 then"
            " now() + make_interval(secs => $4 * (power($6, s.asked + 1) - 1)) end from mine"
            " where s.chunk_id between $2 and $3 and s.chunk_id = mine.chunk_id",
            ids, min(ids), max(ids), self._first_pause_s, MOST_ASKED, float(GROWTH),
        )  # fmt: skip


def _question(row: Unsettled) -> Outgoing:
    # All final and not charged: charging has not heard, or was not heard.  Either way everything is said again.
    uncharged = vectors.all_final(row.state)
    heard = [] if uncharged or len(row.seen) > MOST_SEEN else row.seen
    return missed_event(row.outbound, at=row.now, label=str(row.asked), seen=heard, uncharged=uncharged)


class StalledCancellations(CancellationOutbox):
    """Withdrawals that were announced, of tasks some of whose messages could still be stopped."""

    def __init__(self, first_pause_s: float) -> None:
        self._first_pause_s = first_pause_s

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Withdrawn]:
        """Return those announced more than ``older_than_s`` seconds ago; what has nothing to stop any more is settled here."""
        rows = await connection.fetch(
            "select task_id, tenant, enterprise, by_user, at from cancellation where not settled"
            " and published_at < now() - make_interval(secs => $1) and (again_at is null or again_at < now())"
            " order by published_at limit $2",
            older_than_s, limit,
        )  # fmt: skip
        going: list[Withdrawn] = []
        settled: list[UUID] = []
        for row in map(Withdrawn._make, rows):
            if vectors.any_of(await _states(connection, row.task_id), vectors.STOPPABLE):
                going.append(row)
            else:
                settled.append(row.task_id)
        if settled:
            await connection.execute("update cancellation set settled = true where task_id = any($1)", settled)
        return going

    async def mark(self, connection: Connection, rows: Sequence[Withdrawn]) -> None:
        """Put the next repetition of these off, or give up after `MOST_ASKED`."""
        await connection.execute(
            "update cancellation set sweeps = sweeps + 1, settled = sweeps + 1 >= $3,"
            " again_at = now() + make_interval(secs => $2 * power($4, sweeps)) where task_id = any($1)",
            [row.task_id for row in rows], self._first_pause_s, MOST_ASKED, float(GROWTH),
        )  # fmt: skip


async def _states(connection: Connection, task_id: UUID) -> bytes:
    """Return the states of all messages of a task, bulk or single."""
    single = single_of_task(task_id.hex)
    if single is None:
        rows: list[Any] = await connection.fetch(
            "select s.state from chunk c join chunk_state s using (chunk_id) where c.task_id = $1", task_id
        )
        return b"".join(row["state"] for row in rows)
    state: bytes | None = await connection.fetchval(
        "select state from chunk_state where chunk_id = $1", UUID(hex=single[0])
    )
    return b"" if state is None else state[single[1] : single[1] + 1]
