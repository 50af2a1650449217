"""What the pages and the API read: the queue by clusters, a task with its history, and the figures of the reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from review.domain.item import ESCALATE_MS, WARN_MS
from servicekit.database import Connection


class Filters(NamedTuple):
    """What of the queue is shown; empty means all.  ``age`` is fresh, warn or escalated; ``mine`` a reviewer's own claims."""

    port: str = ""
    enterprise: str = ""
    risk: str = ""
    age: str = ""
    mine: str = ""
    lane: str = ""


_OPEN = """
tenant = $1 and state in ('queued', 'claimed')
and ($2 = '' or port like $2 || '%') and ($3 = '' or enterprise = $3)
and ($4 = '' or (case when risk >= 2 then 'screened' else 'bulk' end) = $4)
and ($5 = '' or (case when $6 - queued_at >= $8 then 'escalated' when $6 - queued_at >= $7 then 'warn'
                 else 'fresh' end) = $5)
and ($9 = '' or claimed_by = $9) and ($10 = '' or lane = $10)
"""

_CLUSTERS = f"""
select enterprise, port, cluster, count(*)::int as tasks, sum(total)::bigint as messages, min(queued_at) as queued_at,
    min(expires_at) as expires_at, max(risk)::int as risk, bool_or(fast_lane) as fast_lane, min(lane) as lane,
    min(task_id) as first_task, (array_agg(content order by queued_at))[1] as content,
    (array_agg(reason order by risk desc, queued_at))[1] as reason, bool_or(posted_by = any($12)) as own,
    array_agg(distinct claimed_by) filter (where state = 'claimed' and claim_until > $6) as claimed,
    count(distinct md5(content))::int as variants, max(tier) as tier, bool_or(late_of is not null) as late,
    md5(coalesce(string_agg(task_id || ':' || news, ',' order by task_id) filter (where news > 0), '')) as sight
from item where {_OPEN}
group by enterprise, port, cluster
order by bool_or(fast_lane) desc, min(queued_at), cluster limit $11
"""  # noqa: S608 - constants of this module


def _arguments(tenant: str, filters: Filters, now: int) -> list[Any]:
    return [
        tenant,
        filters.port,
        filters.enterprise,
        filters.risk,
        filters.age,
        now,
        WARN_MS,
        ESCALATE_MS,
        filters.mine,
        filters.lane,
    ]


async def clusters(
    connection: Connection, tenant: str, filters: Filters, now: int, own: Sequence[str], limit: int = 100
) -> list[asyncpg.Record]:
    """Return waiting tasks as clusters of one enterprise, port and content: fast lane first, then the oldest."""
    return list(await connection.fetch(_CLUSTERS, *_arguments(tenant, filters, now), limit, list(own)))


async def summary(connection: Connection, tenant: str, now: int, day_start: int) -> asyncpg.Record:
    """Return the figures above the queue."""
    row = await connection.fetchrow(
        """
        select count(*) filter (where state in ('queued', 'claimed'))::int as waiting,
            count(distinct (enterprise, port, cluster)) filter (where state in ('queued', 'claimed'))::int as clusters,
            coalesce(sum(total) filter (where state in ('queued', 'claimed')), 0)::bigint as messages,
            count(*) filter (where state in ('queued', 'claimed') and $2 - queued_at >= $4)::int as warned,
            count(*) filter (where state in ('queued', 'claimed') and $2 - queued_at >= $5)::int as escalated,
            count(*) filter (where decided_by is not null and decided_at >= $3)::int as decided,
            avg(decided_at - queued_at) filter (where decided_by is not null and decided_at >= $3) as mean
        from item where tenant = $1 and (state in ('queued', 'claimed') or decided_at >= $3)
        """,
        tenant,
        now,
        day_start,
        WARN_MS,
        ESCALATE_MS,
    )
    assert row is not None, "an aggregate always has a row"
    return row


async def options(connection: Connection, tenant: str) -> tuple[list[str], list[str]]:
    """Return ports and enterprises that have waiting tasks, for the filters."""
    ports = await connection.fetch(
        "select distinct port from item where tenant = $1 and state in ('queued', 'claimed') order by 1 limit 200",
        tenant,
    )
    enterprises = await connection.fetch(
        "select distinct enterprise from item where tenant = $1 and state in ('queued', 'claimed') order by 1 limit 200",
        tenant,
    )
    return [row[0] for row in ports], [row[0] for row in enterprises]


async def open_tasks(
    connection: Connection, tenant: str, enterprise: str, port: str, cluster: int, limit: int
) -> tuple[dict[str, int], str]:
    """Return the waiting tasks of a cluster, each with its ``news``, and the cluster's sight (as `clusters` shows it)."""
    rows = await connection.fetch(
        """
        select task_id, news,
            md5(coalesce(string_agg(task_id || ':' || news, ',') filter (where news > 0) over (order by task_id
                rows between unbounded preceding and unbounded following), '')) as sight
        from item where tenant = $1 and enterprise = $2 and port = $3 and cluster = $4
            and state in ('queued', 'claimed') order by queued_at, task_id limit $5
        """,
        tenant,
        enterprise,
        port,
        cluster,
        limit,
    )
    return {row["task_id"]: row["news"] for row in rows}, rows[0]["sight"] if rows else ""


async def listing(
    connection: Connection, tenant: str, state: str, port: str, before: str, limit: int
) -> list[asyncpg.Record]:
    """Return tasks of a state (empty: waiting ones), newest id first, for the API."""
    return list(
        await connection.fetch(
            """
            select * from item where tenant = $1
                and (case when $2 = '' then state in ('queued', 'claimed') else state = $2 end)
                and ($3 = '' or port = $3) and ($4 = '' or task_id < $4)
            order by task_id desc limit $5
            """,
            tenant,
            state,
            port,
            before,
            limit,
        )
    )


async def siblings(connection: Connection, row: asyncpg.Record, limit: int = 200) -> list[asyncpg.Record]:
    """Return the other waiting tasks of the task's cluster, those with a different text first."""
    return list(
        await connection.fetch(
            """
            select task_id, content, total, queued_at, posted_by from item
            where tenant = $1 and enterprise = $2 and port = $3 and cluster = $4 and task_id <> $5
                and state in ('queued', 'claimed')
            order by content = $6, queued_at limit $7
            """,
            row["tenant"],
            row["enterprise"],
            row["port"],
            row["cluster"],
            row["task_id"],
            row["content"],
            limit,
        )
    )


async def neighbours(connection: Connection, row: asyncpg.Record) -> tuple[str | None, str | None]:
    """Return the waiting tasks before and after this one in the order of the queue, one for each cluster."""
    found = []
    for sign, order in (("<", "desc"), (">", "asc")):
        found.append(
            await connection.fetchval(
                f"""
                select task_id from item where tenant = $1 and state in ('queued', 'claimed')
                    and (enterprise, port, cluster) is distinct from ($2, $3, $4)
                    and (not fast_lane, queued_at, task_id) {sign} (not $5::boolean, $6, $7)
                order by not fast_lane {order}, queued_at {order}, task_id {order} limit 1
                """,  # noqa: S608 - constants
                row["tenant"],
                row["enterprise"],
                row["port"],
                row["cluster"],
                row["fast_lane"],
                row["queued_at"],
                row["task_id"],
            )
        )
    return found[0], found[1]


async def decided_before(connection: Connection, row: asyncpg.Record, limit: int = 400) -> list[asyncpg.Record]:
    """Return decided tasks to compare with: of the same cluster first, then the tenant's newest."""
    return list(
        await connection.fetch(
            """
            select distinct on (md5(content), state) task_id, enterprise, port, content, sketch, state, cited, decided_by,
                decided_at, total, cluster
            from (
                select * from item where tenant = $1 and decided_by is not null and task_id <> $2
                order by cluster = $3 desc, decided_at desc limit $4
            ) newest
            order by md5(content), state, decided_at desc
            """,
            row["tenant"],
            row["task_id"],
            row["cluster"],
            limit,
        )
    )


async def history(connection: Connection, tenant: str, column: str, value: str, since: int) -> dict[str, int]:
    """Return how many tasks of a port or an enterprise ended in each state since then."""
    assert column in {"port", "enterprise"}, "a name of ours, never a caller's"
    rows = await connection.fetch(
        f"""
        select state, count(*)::int as n from item where tenant = $1 and {column} = $2 and queued_at >= $3
        group by state
        """,  # noqa: S608 - one of two constants
        tenant,
        value,
        since,
    )
    return {row["state"]: row["n"] for row in rows}


async def by_day(connection: Connection, tenant: str, since: int, until: int) -> list[asyncpg.Record]:
    """Return tasks per local day and state."""
    return list(
        await connection.fetch(
            """
            select to_char(to_timestamp(queued_at / 1000) at time zone 'Asia/Shanghai', 'YYYY-MM-DD') as day, state,
                count(*)::int as tasks, sum(total)::bigint as messages
            from item where tenant = $1 and queued_at >= $2 and queued_at < $3 group by 1, 2 order by 1
            """,
            tenant,
            since,
            until,
        )
    )


async def by_reviewer(connection: Connection, tenant: str, since: int, until: int) -> list[asyncpg.Record]:
    """Return decisions, mean and 95th percentile of the review time (ms) per reviewer, and over all in the row without a name."""
    return list(
        await connection.fetch(
            """
            select decided_by as reviewer, count(*)::int as tasks,
                count(*) filter (where state = 'approved')::int as approved,
                count(*) filter (where state = 'rejected')::int as rejected,
                avg(decided_at - queued_at)::float8 as mean,
                (percentile_cont(0.95) within group (order by decided_at - queued_at))::float8 as p95
            from item where tenant = $1 and queued_at >= $2 and queued_at < $3 and decided_by is not null
            group by grouping sets ((decided_by), ()) order by decided_by nulls first
            """,
            tenant,
            since,
            until,
        )
    )


async def by_column(connection: Connection, tenant: str, column: str, since: int, until: int) -> list[asyncpg.Record]:
    """Return tasks, released and refused by port, enterprise, cited standard or ground of holding."""
    assert column in {"port", "enterprise", "cited", "reason"}, "a name of ours, never a caller's"
    return list(
        await connection.fetch(
            f"""
            select {column} as name, count(*)::int as tasks, count(*) filter (where state = 'approved')::int as approved,
                count(*) filter (where state = 'rejected')::int as rejected,
                count(*) filter (where state not in ('approved', 'rejected', 'queued', 'claimed'))::int as other
            from item where tenant = $1 and queued_at >= $2 and queued_at < $3 and {column} <> ''
            group by 1 order by 2 desc, 1 limit 20
            """,  # noqa: S608 - one of four constants
            tenant,
            since,
            until,
        )
    )
