"""Partitions by day: made ahead, indexed by number when their day is over, dropped when too old."""

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


async def unsealed_before(connection: Connection, day: date) -> list[str]:
    """Return the chunk partitions of days before ``day`` that have no complete index on their recipients."""
    rows = await connection.fetch(
        "select p.relname from pg_inherits i join pg_class p on p.oid = i.inhrelid"
        " join pg_class parent on parent.oid = i.inhparent"
        " where parent.relname = 'chunk' and parent.relnamespace = current_schema()::regnamespace and not exists ("
        "   select 1 from pg_index x join pg_class c on c.oid = x.indexrelid"
        "   where x.indrelid = p.oid and x.indisvalid and c.relname = p.relname || '_number')"
    )
    names = [row["relname"] for row in rows]
    return sorted(name for name in names if (found := _PARTITION.match(name)) and found[1] < day.strftime("%Y%m%d"))


async def seal(connection: Connection, name: str) -> None:
    """Index a finished day's recipients, so that a number's messages are found without reading the day.

    Built once over the whole day, an entry costs a fraction of what keeping the index during the day would.  Needs a
    connection of its own, outside a transaction.
    """
    if _PARTITION.match(name) is None:
        raise ValueError(f"not a day's partition: {name}")
    await connection.execute("set statement_timeout = 0")
    # What an interrupted build left is invalid, and in the way.
    await connection.execute(f'drop index if exists "{name}_number"')
    await connection.execute(f'create index concurrently "{name}_number" on "{name}" using gin (recipients)')


async def prune_idempotency(connection: Connection, days: int) -> None:
    """Remove answers kept longer than ``days``."""
    await connection.execute("delete from idempotency where created_at < now() - make_interval(days => $1)", days)
