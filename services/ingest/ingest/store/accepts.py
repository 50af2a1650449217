"""Writing what was accepted: chunks with their states, tasks, idempotency claims.

Single messages: one pipelined statement batch for a whole micro-batch (one commit).  Bulk: ``COPY`` in slices inside one transaction,
so that memory does not grow with the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from ingest.domain import vectors
from ingest.domain.composition import Rejected
from ingest.domain.projection import initial_segments
from servicekit.database import Connection, DatabaseUnavailable


class ChunkRow(NamedTuple):
    """One chunk as it is stored and published."""

    chunk_id: UUID
    tenant: str
    enterprise: str
    lane: str
    task_id: UUID | None
    accepted_at: int
    traceparent: str
    payload: bytes
    recipients: list[int]
    carriers: str
    parts: bytes
    hooks: bytes | None


class Claim(NamedTuple):
    """An idempotency key used for the first time, with the answer it will always give."""

    key_id: str
    idem_key: str
    body_digest: bytes
    status: int
    answer: bytes


class Stored(NamedTuple):
    """The answer an idempotency key has given."""

    body_digest: bytes
    status: int
    answer: bytes


class TaskRow(msgspec.Struct, frozen=True):
    """A bulk task's row."""

    task_id: UUID
    tenant: str
    enterprise: str
    key_id: str
    user_name: str
    lane: str
    port: str
    template_id: str
    content: str
    content_hash: bytes
    ref: str
    callback_url: str
    total: int
    accepted: int
    rejected: int
    chunks: int
    segments_total: int
    segments_max: int
    not_before: int
    expires_at: int
    created_at: int


_INSERT_CHUNK = """
with c as (
    insert into chunk (chunk_id, tenant, enterprise, lane, task_id, accepted_at, count, traceparent, payload, recipients, carriers)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
)
insert into chunk_state (chunk_id, state, segs, hooks, waiting_since) values ($1, $12, $13, $14, now())
"""

_CHUNK_COLUMNS = (
    "chunk_id", "tenant", "enterprise", "lane", "task_id", "accepted_at", "count", "traceparent", "payload", "recipients",
    "carriers",
)  # fmt: skip
_STATE_COLUMNS = ("chunk_id", "state", "segs", "hooks", "waiting_since")


async def insert_chunks(connection: Connection, rows: Sequence[ChunkRow]) -> None:
    """Insert a few chunks in one round trip, atomically also outside a transaction."""
    await connection.executemany(
        _INSERT_CHUNK,
        [
            (*_chunk_values(row), vectors.fresh(len(row.recipients)), initial_segments(row.parts), row.hooks)
            for row in rows
        ],
    )


async def copy_chunks(connection: Connection, rows: Sequence[ChunkRow], now: datetime) -> None:
    """Insert a slice of a task's chunks; in the task's transaction."""
    await connection.copy_records_to_table(
        "chunk", records=[_chunk_values(row) for row in rows], columns=_CHUNK_COLUMNS
    )
    await connection.copy_records_to_table(
        "chunk_state",
        records=[
            (row.chunk_id, vectors.fresh(len(row.recipients)), initial_segments(row.parts), row.hooks, now)
            for row in rows
        ],
        columns=_STATE_COLUMNS,
    )


def _chunk_values(row: ChunkRow) -> tuple[object, ...]:
    return (
        row.chunk_id, row.tenant, row.enterprise, row.lane, row.task_id, row.accepted_at, len(row.recipients), row.traceparent,
        row.payload, row.recipients, row.carriers,
    )  # fmt: skip


async def insert_task(connection: Connection, row: TaskRow, rejected: Sequence[Rejected]) -> None:
    """Insert the task and who of it was refused."""
    names = row.__struct_fields__
    places = ", ".join(f"${position}" for position in range(1, len(names) + 1))
    # Only names of our own struct's fields are put into the text.
    sql = f"insert into task ({', '.join(names)}) values ({places})"  # noqa: S608
    await connection.execute(sql, *(getattr(row, name) for name in names))
    if rejected:
        await connection.execute(
            "insert into task_rejected (task_id, indices, numbers, reasons) values ($1, $2, $3, $4)",
            row.task_id, [r.index for r in rejected], [r.to for r in rejected], [r.reason for r in rejected],
        )  # fmt: skip


async def claim(connection: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Insert the claims and return those that are taken already.

    Waits for another transaction that is about to take one of them; sorted, so that two batches never wait for each other.
    """
    ordered = sorted(claims)
    try:
        rows = await connection.fetch(
            "insert into idempotency (key_id, idem_key, body_digest, status, answer)"
            " select * from unnest($1::text[], $2::text[], $3::bytea[], $4::smallint[], $5::bytea[])"
            " on conflict do nothing returning key_id, idem_key",
            *(list(column) for column in zip(*ordered, strict=True)),
        )
    except asyncpg.LockNotAvailableError as error:
        # The first request with this key is a large task that is still being written elsewhere.
        raise DatabaseUnavailable("another request with the same idempotency key is under way") from error  # fmt: skip
    taken = {(row["key_id"], row["idem_key"]) for row in rows}
    return [each for each in ordered if (each.key_id, each.idem_key) not in taken]


async def stored_answer(connection: Connection, key_id: str, idem_key: str) -> Stored | None:
    """Return the answer the idempotency key has given, if any."""
    row = await connection.fetchrow(
        "select body_digest, status, answer from idempotency where key_id = $1 and idem_key = $2", key_id, idem_key
    )
    return Stored(*row) if row else None


async def insert_cancellation(
    connection: Connection, task_id: UUID, tenant: str, enterprise: str, by_user: str, at: int
) -> bool:
    """Record the withdrawal; False when the task was withdrawn before."""
    done = await connection.fetchval(
        "insert into cancellation (task_id, tenant, enterprise, by_user, at) values ($1, $2, $3, $4, $5)"
        " on conflict do nothing returning 1",
        task_id, tenant, enterprise, by_user, at,
    )  # fmt: skip
    return done is not None
