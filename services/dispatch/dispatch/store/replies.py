"""Messages from phones, ports and opt-outs in PostgreSQL."""

from __future__ import annotations

import asyncpg

from servicekit.database import Connection, Database

LOOK_BACK_MS = 72 * 3_600_000
"""A reply belongs to a message of the last three days."""


async def open_ids(database: Database, limit: int = 1000) -> list[int]:
    """Return messages that were stored and not yet handled: what a crash left, and parts that wait for others."""
    rows = await database.fetch("select id from mo_raw where not done order by id limit $1", limit)
    return [row["id"] for row in rows]


async def parts(tx: Connection, mo_id: int) -> list[asyncpg.Record]:
    """Lock the conversation of a stored message and return all open parts that could belong together with it."""
    row = await tx.fetchrow("select * from mo_raw where id = $1 and not done", mo_id)
    if row is None:
        return []
    if row["total"] <= 1:
        return list(await tx.fetch("select * from mo_raw where id = $1 and not done for update skip locked", mo_id))
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2 || ' ' || $3, 0))",
        row["link"],
        row["source"],
        row["destination"],
    )
    return list(
        await tx.fetch(
            "select * from mo_raw where link = $1 and source = $2 and destination = $3 and reference = $4 and total = $5"
            " and width = $6 and not done order by at, id",
            row["link"],
            row["source"],
            row["destination"],
            row["reference"],
            row["total"],
            row["width"],
        )
    )


async def finish(tx: Connection, ids: list[int]) -> None:
    """Mark stored messages as handled."""
    await tx.execute("update mo_raw set done = true where id = any($1)", ids)


async def insert_mo(tx: Connection, row: tuple[object, ...]) -> bool:
    """Insert a joined message; False when it is there already."""
    return (
        await tx.fetchval(
            "insert into mo (id, link, sender, port, text, at, chunk_id, index, ekey, action)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning id",
            *row,
        )
        is not None
    )


async def last_messages(tx: Connection, number: int, now_ms: int) -> list[asyncpg.Record]:
    """Return the latest messages sent to a number: (release row, index), newest first, at most five."""
    return list(
        await tx.fetch(
            "select r.*, h.index from (select a.release_id, a.at, a.indices[array_position(a.recipients, $1)] index from answer a"
            " where a.at > $2 and $1 = any(a.recipients) order by a.at desc limit 5) h"
            " join release r on r.release_id = h.release_id order by h.at desc",
            number,
            now_ms - LOOK_BACK_MS,
        )
    )


async def owner_of(tx: Connection, port: str) -> asyncpg.Record | None:
    """Return (port, ekey, tenant, enterprise) of the longest known port that begins the number called."""
    prefixes = [port[:n] for n in range(3, len(port) + 1)]
    return await tx.fetchrow(
        "select port, ekey, tenant, enterprise from port_owner where port = any($1) order by length(port) desc limit 1",
        prefixes,
    )


async def opt_out(
    tx: Connection | Database,
    tenant: str,
    enterprise: str,
    number: int,
    port: str,
    at: int,
    *,
    word: str,
    mo_id: str,
    by: str,
) -> bool:
    """Record that a number said no; False when it had already."""
    sql = (
        "insert into opt_out (tenant, enterprise, number, port, at, word, mo_id, by) values ($1, $2, $3, $4, $5, $6, $7, $8)"
        " on conflict do nothing"
    )
    tag = await tx.execute(sql, tenant, enterprise, number, port, at, word, mo_id, by)
    return tag.endswith(" 1")
