"""Reading states and timelines: everything is computed from state vectors and the journal when it is asked for.

Every query is bound to a tenant and enterprise; what belongs to another is as if it did not exist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import asyncpg

from ingest.domain.identity import id_range
from servicekit.database import Connection

DAY_MS = 86_400_000

LEDGER_SLICE = 2_000
"""Chunks counted at a time: a million messages, 10 ms."""

Owner = tuple[str, str]
"""(tenant, enterprise)."""


async def task(connection: Connection, owner: Owner, task_id: UUID) -> asyncpg.Record | None:
    """Return the bulk task's row with its cancellation, or None."""
    return await connection.fetchrow(
        "select t.*, c.at as cancelled_at from task t left join cancellation c using (task_id)"
        " where t.task_id = $1 and t.tenant = $2 and t.enterprise = $3",
        task_id, *owner,
    )  # fmt: skip


async def tasks(
    connection: Connection, owner: Owner, before: UUID | None, limit: int, ref: str
) -> list[asyncpg.Record]:
    """Return the newest tasks, before ``before`` when given, of one business key when given."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select t.*, c.at as cancelled_at from task t left join cancellation c using (task_id)"
        " where t.tenant = $1 and t.enterprise = $2 and ($3::uuid is null or t.task_id < $3)"
        " and ($5 = '' or t.ref = $5) order by t.task_id desc limit $4",
        *owner, before, limit, ref,
    )  # fmt: skip
    return rows


async def cancelled_at(connection: Connection, task_id: UUID) -> int | None:
    """Return when the task was withdrawn, Unix ms, or None."""
    at = await connection.fetchval("select at from cancellation where task_id = $1", task_id)
    return None if at is None else int(at)


async def rejected(connection: Connection, task_id: UUID) -> asyncpg.Record | None:
    """Return the task's rejected recipients as three parallel arrays: indices, numbers, reasons."""
    return await connection.fetchrow("select indices, numbers, reasons from task_rejected where task_id = $1", task_id)


async def task_states(connection: Connection, task_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return task_id and state of every chunk of these tasks."""
    low, high = _near(task_ids)
    rows: list[asyncpg.Record] = await connection.fetch(
        "select c.task_id, s.state from chunk c join chunk_state s on s.chunk_id = c.chunk_id"
        " and s.chunk_id between $2 and $3 where c.task_id = any($1) and c.chunk_id between $2 and $3",
        list(task_ids), low, high,
    )  # fmt: skip
    return rows


async def task_chunks(connection: Connection, task_id: UUID, after: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Return chunk_id, recipients, carriers, state, segs of the task's chunks from ``after`` (inclusive) on."""
    low, high = _near([task_id])
    rows: list[asyncpg.Record] = await connection.fetch(
        "select c.chunk_id, c.recipients, c.carriers, s.state, s.segs from chunk c"
        " join chunk_state s on s.chunk_id = c.chunk_id and s.chunk_id between $2 and $3"
        " where c.task_id = $1 and c.chunk_id between coalesce($5, $2) and $3 order by c.chunk_id limit $4",
        task_id, low, high, limit, after,
    )  # fmt: skip
    return rows


def _near(task_ids: Sequence[UUID]) -> tuple[UUID, UUID]:
    """A task's chunks get their ids right after its own; a day to either side is for clocks that were set in between."""
    times = [task_id.int >> 80 for task_id in task_ids]
    return id_range(min(times) - DAY_MS, max(times) + DAY_MS)


async def chunk(connection: Connection, owner: Owner, chunk_id: UUID) -> asyncpg.Record | None:
    """Return a chunk with its states, or None when it is not the owner's."""
    return await connection.fetchrow(
        "select c.chunk_id, c.lane, c.task_id, c.accepted_at, c.traceparent, c.payload, c.recipients, c.carriers,"
        " s.state, s.segs, s.published_at from chunk c join chunk_state s using (chunk_id)"
        " where c.chunk_id = $1 and c.tenant = $2 and c.enterprise = $3",
        chunk_id, *owner,
    )  # fmt: skip


async def journal(connection: Connection, chunk_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return chunk_id, event_id, kind, at, envelope of every event on the chunks, oldest first."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select chunk_id, event_id, kind, at, envelope from journal"
        " where chunk_id between $2 and $3 and chunk_id = any($1) order by at, event_id",
        list(chunk_ids), min(chunk_ids), max(chunk_ids),
    )  # fmt: skip
    return rows


async def chunks_with(
    connection: Connection, owner: Owner, number: int, since_ms: int, until_ms: int, limit: int
) -> list[asyncpg.Record]:
    """Return the newest chunks with a message to the number.

    Days that are over have an index on their recipients (`ingest.store.housekeeping`); the others' chunks are read
    through, 8 octets a message.
    """
    low, high = id_range(since_ms, until_ms)
    rows: list[asyncpg.Record] = await connection.fetch(
        "select c.chunk_id, c.lane, c.task_id, c.accepted_at, c.traceparent, c.payload, c.recipients, c.carriers,"
        " s.state, s.segs, s.published_at from chunk c join chunk_state s on s.chunk_id = c.chunk_id"
        " and s.chunk_id between $3 and $4"
        " where c.tenant = $1 and c.enterprise = $2 and c.chunk_id between $3 and $4 and c.recipients @> array[$5::bigint]"
        " order by c.chunk_id desc limit $6",
        *owner, low, high, number, limit,
    )  # fmt: skip
    return rows


async def replies(
    connection: Connection,
    owner: Owner,
    *,
    ports: Sequence[str],
    number: int | None,
    after: tuple[int, str],
    limit: int,
) -> list[asyncpg.Record]:
    """Return replies after (at, mo_id), oldest first; ``ports`` empty is all of the enterprise."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select mo_id, port, sender, body, at, chunk_id, index, action from reply"
        " where tenant = $1 and enterprise = $2 and (at, mo_id) > ($3, $4)"
        " and ($5::bigint is null or sender = $5)"
        " and (cardinality($6::text[]) = 0 or exists (select 1 from unnest($6::text[]) p where starts_with(port, p)))"
        " order by at, mo_id limit $7",
        *owner, after[0], after[1], number, list(ports), limit,
    )  # fmt: skip
    return rows


async def opt_outs(connection: Connection, owner: Owner, number: int) -> list[asyncpg.Record]:
    """Return the number's opt-outs from the enterprise."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select port, at, word, mo_id from opt_out where number = $3 and tenant = $1 and enterprise = $2 order by at",
        *owner, number,
    )  # fmt: skip
    return rows


async def states_since(
    connection: Connection, owner: Owner | None, since_ms: int, until_ms: int
) -> AsyncIterator[list[bytes]]:
    """Yield state vectors of the chunks accepted in the period, a slice at a time; ``owner`` None is everybody's."""
    low, high = id_range(since_ms, until_ms)
    tenant, enterprise = owner or ("", "")
    first = True
    while True:
        rows = await connection.fetch(
            "select s.chunk_id, s.state from chunk_state s"
            " where s.chunk_id >= $1 and ($6 or s.chunk_id > $1) and s.chunk_id <= $2"
            " and ($3 = '' or exists (select 1 from chunk c where c.chunk_id = s.chunk_id"
            " and c.tenant = $3 and c.enterprise = $4)) order by s.chunk_id limit $5",
            low, high, tenant, enterprise, LEDGER_SLICE, first,
        )  # fmt: skip
        if not rows:
            return
        yield [row["state"] for row in rows]
        low, first = rows[-1]["chunk_id"], False


async def tariff(connection: Connection, tenant: str, now_ms: int) -> bytes | None:
    """Return the tariff in force (JSON of `TariffActivated`), or None."""
    body = await connection.fetchval(
        "select body from tariff where tenant = $1 and valid_from <= $2 order by valid_from desc, version desc limit 1",
        tenant, now_ms,
    )  # fmt: skip
    return None if body is None else bytes(body)


async def outbox_figures(connection: Connection) -> tuple[int, int]:
    """Return how many chunks are unpublished, and how many wait for a further stage."""
    row = await connection.fetchrow(
        "select (select count(*) from chunk_state where published_at is null) as unpublished,"
        " (select count(*) from chunk_state where waiting_since is not null) as waiting"
    )
    return (row["unpublished"], row["waiting"]) if row else (0, 0)
