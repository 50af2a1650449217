"""Webhook targets and the rows waiting for them.

A row holds the changes of one chunk; the sender takes many rows of one target into one request.  Targets are leased by moving their
`retry_at` ahead, so that two processes never deliver the same rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from servicekit.database import Connection


class DueTarget(NamedTuple):
    """A target with rows to deliver, leased to the caller."""

    target_id: int
    key_id: str
    url: str
    failures: int


class NewHook(NamedTuple):
    """Changes of one chunk to be told to one target."""

    target_id: int
    chunk_id: UUID
    indices: list[int]
    body: bytes


async def put_target(connection: Connection, tenant: str, enterprise: str, key_id: str, url: str) -> int:
    """Return the number of the target, made when there is none."""
    found = await connection.fetchval(
        "select target_id from webhook_target where tenant = $1 and enterprise = $2 and key_id = $3 and url = $4",
        tenant, enterprise, key_id, url,
    )  # fmt: skip
    if found is None:
        found = await connection.fetchval(
            "insert into webhook_target (tenant, enterprise, key_id, url) values ($1, $2, $3, $4)"
            " on conflict (tenant, enterprise, key_id, url) do update set url = excluded.url returning target_id",
            tenant, enterprise, key_id, url,
        )  # fmt: skip
    return int(found)


async def insert(connection: Connection, hooks: Sequence[NewHook]) -> None:
    """Add rows; in the transaction of the change they tell of."""
    await connection.executemany(
        "insert into webhook (target_id, chunk_id, indices, body) values ($1, $2, $3, $4)", list(hooks)
    )


async def lease(connection: Connection, limit: int, lease_s: float) -> list[DueTarget]:
    """Return targets that have rows and whose time has come, reserved for ``lease_s`` seconds."""
    rows = await connection.fetch(
        "update webhook_target t set retry_at = now() + make_interval(secs => $2) where target_id in ("
        "  select target_id from webhook_target d where retry_at <= now() and exists ("
        "    select 1 from webhook w where w.target_id = d.target_id and w.sent_at is null and w.dead_at is null)"
        "  order by retry_at limit $1 for update skip locked)"
        " returning target_id, key_id, url, failures",
        limit, lease_s,
    )  # fmt: skip
    return [DueTarget(*row) for row in rows]


async def due(connection: Connection, target_id: int, limit: int) -> list[asyncpg.Record]:
    """Return the target's oldest rows: webhook_id, indices, body, and the recipients of the row's chunk."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select w.webhook_id, w.indices, w.body, c.recipients from webhook w"
        " left join chunk c on c.chunk_id = w.chunk_id where w.target_id = $1 and w.sent_at is null"
        " and w.dead_at is null order by w.webhook_id limit $2",
        target_id, limit,
    )  # fmt: skip
    return rows


async def delivered(connection: Connection, target_id: int, ids: Sequence[int]) -> None:
    """Mark the rows delivered and the target well and free."""
    await connection.execute(
        "with w as (update webhook set sent_at = now() where webhook_id = any($2))"
        " update webhook_target set failures = 0, last_error = '', last_ok_at = now(), retry_at = now()"
        " where target_id = $1",
        target_id, list(ids),
    )  # fmt: skip


async def failed(connection: Connection, target_id: int, error: str, pause_s: float, dead_after_s: float) -> int:
    """Note the failure, put the next try off, and give up rows too old; return how many were given up."""
    await connection.execute(
        "update webhook_target set failures = failures + 1, last_error = $2,"
        " retry_at = now() + make_interval(secs => $3) where target_id = $1",
        target_id, error, pause_s,
    )  # fmt: skip
    tag = await connection.execute(
        "update webhook set dead_at = now() where target_id = $1 and sent_at is null and dead_at is null"
        " and created_at < now() - make_interval(secs => $2)",
        target_id, dead_after_s,
    )  # fmt: skip
    return int(tag.rpartition(" ")[2])


async def overview(connection: Connection, tenant: str, enterprise: str) -> list[asyncpg.Record]:
    """Return the enterprise's targets with how many rows wait, and how many were given up."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select t.target_id, t.url, t.failures, t.last_error, t.last_ok_at, t.retry_at,"
        " count(*) filter (where w.sent_at is null and w.dead_at is null) as waiting,"
        " count(*) filter (where w.sent_at is not null) as delivered,"
        " count(*) filter (where w.dead_at is not null) as dead"
        " from webhook_target t left join webhook w using (target_id)"
        " where t.tenant = $1 and t.enterprise = $2 group by t.target_id order by t.target_id limit 500",
        tenant, enterprise,
    )  # fmt: skip
    return rows


async def replay_dead(connection: Connection, tenant: str, enterprise: str, target_id: int) -> int | None:
    """Offer the target's given-up rows again; return how many, None when there is no such target."""
    found = await connection.fetchval(
        "update webhook_target set retry_at = now(), failures = 0"
        " where target_id = $1 and tenant = $2 and enterprise = $3 returning 1",
        target_id, tenant, enterprise,
    )  # fmt: skip
    if found is None:
        return None
    tag = await connection.execute(
        "update webhook set dead_at = null, created_at = now() where target_id = $1 and dead_at is not null", target_id
    )
    return int(tag.rpartition(" ")[2])


async def waiting(connection: Connection) -> int:
    """Return how many rows wait, over all targets."""
    return int(await connection.fetchval("select count(*) from webhook where sent_at is null and dead_at is null"))


async def prune(connection: Connection, keep_days: int) -> None:
    """Remove rows settled longer ago than ``keep_days``."""
    await connection.execute(
        "delete from webhook where coalesce(sent_at, dead_at) < now() - make_interval(days => $1)", keep_days
    )
