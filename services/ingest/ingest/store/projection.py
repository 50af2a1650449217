"""The status projector's SQL: the journal, which tells what is new, and the states, locked and written back by the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from servicekit.database import Connection


class JournalRow(NamedTuple):
    """One event as it came."""

    chunk_id: UUID
    event_id: str
    kind: str
    at: int
    envelope: bytes


class StateRow(NamedTuple):
    """The states of a chunk as they are written back."""

    chunk_id: UUID
    state: bytes
    segs: bytes | None
    uncharged: int
    waiting: bool
    unsettled: bool


async def add_to_journal(connection: Connection, rows: Sequence[JournalRow]) -> set[tuple[UUID, str]]:
    """Insert the events and return those that were not there before."""
    inserted = await connection.fetch(
        "insert into journal (chunk_id, event_id, kind, at, envelope)"
        " select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bytea[])"
        " on conflict do nothing returning chunk_id, event_id",
        *(list(column) for column in zip(*rows, strict=True)),
    )
    return {(row[0], row[1]) for row in inserted}


async def lock_states(connection: Connection, chunk_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return chunk_id, state, segs, hooks, uncharged of the chunks, locked in the order of their ids."""
    rows: list[asyncpg.Record] = await connection.fetch(
        # The range prunes the partitions in a generic plan too; the order keeps two projectors from a deadlock.
        "select chunk_id, state, segs, hooks, uncharged from chunk_state"
        " where chunk_id between $2 and $3 and chunk_id = any($1) order by chunk_id for update",
        list(chunk_ids), min(chunk_ids), max(chunk_ids),
    )  # fmt: skip
    return rows


async def write_states(connection: Connection, rows: Sequence[StateRow]) -> None:
    """Write the states back.

    `waiting_since` and `unsettled_since` start anew when something waits or is unsettled that was not, end when nothing is,
    and else stay; what has been seen downstream was published.
    """
    columns = list(zip(*rows, strict=True))
    await connection.execute(
        "update chunk_state s set state = u.state, segs = u.segs, uncharged = u.uncharged,"
        " published_at = coalesce(s.published_at, now()),"
        " waiting_since = case when u.waiting then coalesce(s.waiting_since, now()) end,"
        " unsettled_since = case when u.unsettled then coalesce(s.unsettled_since, now()) end"
        " from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::integer[], $5::boolean[], $6::boolean[])"
        " u(chunk_id, state, segs, uncharged, waiting, unsettled)"
        " where s.chunk_id between $7 and $8 and s.chunk_id = u.chunk_id",
        *(list(column) for column in columns), min(columns[0]), max(columns[0]),
    )  # fmt: skip


async def insert_replies(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add replies (mo_id, tenant, enterprise, port, sender, body, at, chunk_id, index, action); known ones stay."""
    await connection.executemany(
        "insert into reply (mo_id, tenant, enterprise, port, sender, body, at, chunk_id, index, action)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing",
        rows,
    )


async def insert_opt_outs(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add opt-outs (tenant, enterprise, port, number, at, word, mo_id); known ones stay."""
    await connection.executemany(
        "insert into opt_out (tenant, enterprise, port, number, at, word, mo_id)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        rows,
    )


async def insert_tariffs(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Add or replace tariff versions (tenant, version, valid_from, body)."""
    await connection.executemany(
        "insert into tariff (tenant, version, valid_from, body) values ($1, $2, $3, $4)"
        " on conflict (tenant, version) do update set valid_from = excluded.valid_from, body = excluded.body",
        rows,
    )
