"""Partitions by day and the removal of what is too old."""

from __future__ import annotations

import re
from datetime import date

from servicekit.database import Connection

_PARTITION = re.compile(r"(?:chunk|chunk_state|journal)_(\d{8})\Z")


async def ensure_day(connection: Connection, day: date) -> bool:
    """Make the day's partitions; False when they are there."""
    return bool(await connection.fetchval("select ensure_day($1)", day))


async def drop_before(connection: Connection, day: date) -> list[str]:
    """Drop the partitions of days before ``day`` and return their names."""
    rows = await connection.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " join pg_class p on p.oid = i.inhparent where p.relname in ('chunk', 'chunk_state', 'journal')"
        " and p.relnamespace = current_schema()::regnamespace"
    )
    names = [row["relname"] for row in rows]
    old = [name for name in names if (found := _PARTITION.match(name)) and found[1] < day.strftime("%Y%m%d")]
    for name in sorted(old):
        await connection.execute(f'drop table "{name}"')
    return sorted(old)


async def prune_idempotency(connection: Connection, days: int) -> None:
    """Remove answers kept longer than ``days``."""
    await connection.execute("delete from idempotency where created_at < now() - make_interval(days => $1)", days)
