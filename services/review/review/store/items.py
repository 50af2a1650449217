"""Held tasks: every change of state is one compare-and-set, whose losers learn what stands instead.

Approve, reject, expire, withdraw and undo race here and nowhere else; ``final_at`` is the point after which nothing
changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from servicekit.database import Connection

_FREE = "(state = 'queued' or (state = 'claimed' and (claimed_by = $3 or claim_until < $4)))"
"""Free for reviewer $3 at $4: queued, his own, or a claim that ran out."""


async def claim(
    connection: Connection, tenant: str, tasks: Sequence[str], user: str, now: int, until: int
) -> list[str]:
    """Claim what is free and return it; repeating a claim renews it."""
    rows = await connection.fetch(
        f"""
        update item set state = 'claimed', claimed_by = $3, claim_until = $5, version = version + 1
        where tenant = $1 and task_id = any($2) and {_FREE} and expires_at > $4 returning task_id
        """,  # noqa: S608 - a constant of this module
        tenant,
        list(tasks),
        user,
        now,
        until,
    )
    return [row["task_id"] for row in rows]


async def unclaim(connection: Connection, tenant: str, tasks: Sequence[str], user: str) -> list[str]:
    """Give back one's own claims."""
    rows = await connection.fetch(
        """
        update item set state = 'queued', claimed_by = null, claim_until = null, version = version + 1
        where tenant = $1 and task_id = any($2) and state = 'claimed' and claimed_by = $3 returning task_id
        """,
        tenant,
        list(tasks),
        user,
    )
    return [row["task_id"] for row in rows]


async def decide(
    connection: Connection,
    tenant: str,
    tasks: Mapping[str, int],
    user: str,
    now: int,
    *,
    state: str,
    due: int,
    cited: str,
    note: str,
) -> list[str]:
    """Decide what is free or claimed by ``user`` and still valid; return the tasks whose decision this is.

    ``tasks`` says of each which ``news`` the decision is based on: where something joined it since, the decision is not made.
    """
    # In the order of ids, as the gate locks them.
    await connection.execute("select from item where task_id = any($1) order by task_id for no key update", list(tasks))
    rows = await connection.fetch(
        f"""
        update item set state = $5, decided_by = $3, decided_at = $4, due_at = $6, cited = $7, note = $8,
            claimed_by = $3, claim_until = null, version = version + 1
        from unnest($2::text[], $9::integer[]) as seen(id, news)
        where tenant = $1 and task_id = seen.id and item.news = seen.news and {_FREE} and expires_at > $4
            and final_at is null returning task_id
        """,  # noqa: S608 - a constant of this module
        tenant,
        list(tasks),
        user,
        now,
        state,
        due,
        cited,
        note,
        list(tasks.values()),
    )
    return [row["task_id"] for row in rows]


async def undo(connection: Connection, tenant: str, tasks: Sequence[str], user: str, now: int, until: int) -> list[str]:
    """Take back one's own decisions that are not published yet; they are claimed again."""
    rows = await connection.fetch(
        """
        update item set state = 'claimed', claimed_by = $3, claim_until = $5, decided_by = null, decided_at = null,
            due_at = null, cited = '', note = '', version = version + 1
        where tenant = $1 and task_id = any($2) and state in ('approved', 'rejected') and decided_by = $3
            and final_at is null and due_at > $4 returning task_id
        """,
        tenant,
        list(tasks),
        user,
        now,
        until,
    )
    return [row["task_id"] for row in rows]


async def fast_lane(connection: Connection, tenant: str, tasks: Sequence[str]) -> list[str]:
    """Put waiting tasks into the fast lane."""
    rows = await connection.fetch(
        """
        update item set fast_lane = true, version = version + 1
        where tenant = $1 and task_id = any($2) and state in ('queued', 'claimed') and not fast_lane returning task_id
        """,
        tenant,
        list(tasks),
    )
    return [row["task_id"] for row in rows]


async def withdraw(connection: Connection, tenant: str, tasks: Sequence[str], now: int) -> None:
    """Record withdrawals and end what is not published yet; a decision already published stands."""
    await connection.executemany(
        "insert into withdrawn_task values ($1, $2, $3) on conflict (task_id) do nothing",
        [(task, tenant, now) for task in sorted(tasks)],
    )
    await connection.execute(
        """
        update item set state = 'withdrawn', decided_at = $3, due_at = $3, decided_by = null, version = version + 1
        where tenant = $1 and (task_id = any($2) or late_of = any($2)) and state in ('queued', 'claimed', 'approved', 'rejected')
            and final_at is null
        """,
        tenant,
        list(tasks),
        now,
    )


async def withdraw_missed(connection: Connection, now: int) -> None:
    """Withdraw items whose cancellation was recorded while their chunk was on its way into the table: neither saw the other."""
    await connection.execute(
        """
        update item set state = 'withdrawn', decided_at = $1, due_at = $1, version = version + 1
        where state in ('queued', 'claimed') and final_at is null
          and exists (select 1 from withdrawn_task w where w.task_id = coalesce(item.late_of, item.task_id))
        """,
        now,
    )


async def expire(connection: Connection, now: int) -> list[asyncpg.Record]:
    """End tasks whose validity ran out before anything was published; also approved ones: never sent late."""
    return list(
        await connection.fetch(
            """
            update item set state = 'expired', decided_at = $1, due_at = $1, version = version + 1
            where final_at is null and expires_at <= $1 and state in ('queued', 'claimed', 'approved')
            returning tenant, task_id, port
            """,
            now,
        )
    )


async def lapse_claims(connection: Connection, now: int) -> int:
    """Return claims without a sign of life to the queue."""
    status = await connection.execute(
        """
        update item set state = 'queued', claimed_by = null, claim_until = null, version = version + 1
        where state = 'claimed' and claim_until < $1
        """,
        now,
    )
    return int(status.rpartition(" ")[2])


async def finalise(connection: Connection, now: int, limit: int = 2_000) -> list[asyncpg.Record]:
    """Make due decisions final: from here on no undo and no withdrawal, and the relay publishes them."""
    return list(
        await connection.fetch(
            """
            update item set final_at = $1 where task_id in (
                select task_id from item where final_at is null and due_at <= $1 order by due_at limit $2
                for update skip locked)
            returning tenant, task_id, enterprise, port, tier, state, cited, decided_by, queued_at, decided_at, total
            """,
            now,
            limit,
        )
    )


async def find(connection: Connection, tenant: str, task: str) -> asyncpg.Record | None:
    """Return the whole row, or None."""
    return await connection.fetchrow("select * from item where tenant = $1 and task_id = $2", tenant, task)


async def find_many(connection: Connection, tenant: str, tasks: Sequence[str]) -> dict[str, asyncpg.Record]:
    """Return rows by task id."""
    rows = await connection.fetch("select * from item where tenant = $1 and task_id = any($2)", tenant, list(tasks))
    return {row["task_id"]: row for row in rows}


async def refusals_of_port(connection: Connection, tenant: str, port: str, penalties: Sequence[str]) -> int:
    """Return how many bulk tasks of the port a reviewer refused for their content since it was last reinstated."""
    count: int = await connection.fetchval(
        """
        select count(*) from item i left join port_policy p on p.tenant = i.tenant and p.port = i.port
        where i.tenant = $1 and i.port = $2 and i.state = 'rejected' and i.final_at is not null and i.tier = 'high'
            and i.cited = any($3) and i.final_at > coalesce(p.reinstated_at, 0)
        """,
        tenant,
        port,
        list(penalties),
    )
    return count


async def parts_of(connection: Connection, task: str, limit: int = 50) -> list[asyncpg.Record]:
    """Return the first parts of a task with their payloads, for the task page."""
    return list(
        await connection.fetch(
            """
            select p.chunk_id, p.part, p.entry, p.reason, p.indices, c.payload from held_part p
            join held_chunk c using (chunk_id, part) where p.task_id = $1 order by p.chunk_id, p.part limit $2
            """,
            task,
            limit,
        )
    )


async def rounds_of(connection: Connection, row: asyncpg.Record) -> list[asyncpg.Record]:
    """Return the other items of the same task: what was decided before, and what arrived late."""
    return list(
        await connection.fetch(
            """
            select task_id, round, state, decided_by, decided_at, cited, note, total, late_of from item
            where (task_id = $1 or late_of = $1) and task_id <> $2 order by round
            """,
            row["late_of"] or row["task_id"],
            row["task_id"],
        )
    )


async def sights_of(connection: Connection, task: str) -> list[asyncpg.Record]:
    """Return the findings and further texts recorded with an item, the newest first."""
    return list(
        await connection.fetch(
            """
            select kind, finding, text, chunk_id, index, messages from item_sight where task_id = $1
            order by chunk_id desc, index, digest
            """,
            task,
        )
    )


async def totals_of(connection: Connection, task: str) -> dict[str, Any]:
    """Return messages that wait, chunks seen and the carrier split of a task."""
    row = await connection.fetchrow(
        """
        select coalesce(sum(cardinality(indices)), 0)::int as messages, count(distinct (chunk_id, part))::int as chunks
        from held_part where task_id = $1
        """,
        task,
    )
    carriers = await connection.fetch(
        """
        select key, sum(value::int)::int as n from held_part, jsonb_each_text(carriers)
        where task_id = $1 group by key order by n desc
        """,
        task,
    )
    assert row is not None, "an aggregate always has a row"
    return {
        "messages": row["messages"],
        "chunks": row["chunks"],
        "carriers": {entry["key"]: entry["n"] for entry in carriers},
    }
