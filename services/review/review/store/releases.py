"""The parts of decided tasks as an outbox: gathered into numbered batches, so that publishing again gives the same
events.

A part is taken when its item is final, also when it arrives after the decision: the gate files it under that item only if the
decision covers it (`review.domain.sight`).
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from servicekit.database import Connection


@dataclass(frozen=True, slots=True)
class DecidedPart:
    """Messages of one task in one chunk, with the decision on them."""

    task_id: str
    reason: str
    indices: list[int]
    state: str
    by: str
    cited: str
    note: str
    fast_lane: bool


@dataclass(frozen=True, slots=True)
class DecidedChunk:
    """Everything of one chunk that one batch publishes."""

    batch: int
    chunk_id: str
    part: int
    lane: str
    at: int
    traceparent: str
    payload: bytes
    parts: list[DecidedPart]


async def gather(connection: Connection, limit: int = 5_000) -> None:
    """Give parts of final items a batch number; from now on they are published together, however often."""
    await connection.execute(
        """
        with taken as (
            select p.ctid from held_part p join item i using (task_id)
            where p.batch is null and i.final_at is not null limit $1 for update of p skip locked
        ), numbered as materialized (select nextval('release_batch') as batch)
        update held_part set batch = numbered.batch from numbered where held_part.ctid in (select ctid from taken)
        """,
        limit,
    )


async def unpublished(connection: Connection, limit: int) -> list[DecidedChunk]:
    """Return up to ``limit`` chunks with batched parts that are not published, oldest batch first."""
    keys = await connection.fetch(
        """
        select distinct batch, chunk_id, part from held_part where batch is not null and not published
        order by batch, chunk_id, part limit $1
        """,
        limit,
    )
    return [await _chunk(connection, key) for key in keys]


async def _chunk(connection: Connection, key: asyncpg.Record) -> DecidedChunk:
    rows = await connection.fetch(
        """
        select coalesce(i.late_of, i.task_id) as task_id, p.reason, p.indices, i.state,
            coalesce(i.decided_by, '') as by, i.cited, i.note, i.fast_lane, i.lane, i.final_at
        from held_part p join item i using (task_id)
        where p.batch = $1 and p.chunk_id = $2 and p.part = $3 order by 1, i.round, p.reason
        """,
        key["batch"],
        key["chunk_id"],
        key["part"],
    )
    chunk = await connection.fetchrow(
        "select traceparent, payload from held_chunk where chunk_id = $1 and part = $2", key["chunk_id"], key["part"]
    )
    assert chunk is not None, "a part refers to its chunk by a foreign key"
    parts = [
        DecidedPart(
            row["task_id"],
            row["reason"],
            row["indices"],
            row["state"],
            row["by"],
            row["cited"],
            row["note"],
            row["fast_lane"],
        )
        for row in rows
    ]
    return DecidedChunk(
        key["batch"],
        key["chunk_id"].hex,
        key["part"],
        rows[0]["lane"],
        max(row["final_at"] for row in rows),
        chunk["traceparent"],
        chunk["payload"],
        parts,
    )


async def mark(connection: Connection, chunks: list[DecidedChunk]) -> None:
    """Record that the chunks' events were acknowledged by the broker."""
    await connection.executemany(
        "update held_part set published = true where batch = $1 and chunk_id = $2 and part = $3",
        [(chunk.batch, chunk.chunk_id, chunk.part) for chunk in chunks],
    )


async def purge(connection: Connection, before_ms: int, limit: int = 500) -> int:
    """Delete payloads whose every part was published before ``before_ms``, and their messages from what items show;
    returns how many.
    """
    count: int = await connection.fetchval(
        """
        with old as (
            select c.chunk_id, c.part from held_chunk c where c.stored_at < $1 and length(c.payload) > 0
              and not exists (select 1 from held_part p
                              where p.chunk_id = c.chunk_id and p.part = c.part and not p.published)
            limit $2
        ), gone as (
            update held_chunk c set payload = '' from old where c.chunk_id = old.chunk_id and c.part = old.part
            returning c.chunk_id, c.part
        ), shown as (
            update item_sight s set text = '' from gone join held_part p using (chunk_id, part)
            where s.task_id = p.task_id and s.chunk_id = gone.chunk_id
        )
        select count(*) from gone
        """,
        before_ms,
        limit,
    )
    return count
