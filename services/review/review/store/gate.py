"""Statements of the gate's transaction: recorded decisions, ways of tasks and counts of contents.

All work on a whole batch at once with arrays; nothing here is run per message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from review.domain.clusters import MAX_CLUSTERS
from review.domain.content import pack, unpack
from servicekit.database import Connection

Key = tuple[str, int]
"""(chunk id, part)."""


PLAINLY = "pass_plainly($1, $2, $3, $4)"
"""Records that chunks pass whole (migration 0004): policies' version, chunk ids, tenants, Unix ms."""


class GateRow(NamedTuple):
    """The recorded decision on one screened chunk: ``released`` None is all of it; ``decided`` holds further events,
    encoded.
    """

    chunk_id: str
    part: int
    tenant: str
    decided_at: int
    policy_version: int
    released: list[int] | None
    nothing: bool
    decided: bytes | None
    covers: list[int] | None = None
    """The messages this decision is on; None is all of the chunk."""


async def known_rows(connection: Connection, chunk_ids: Sequence[str]) -> dict[Key, GateRow]:
    """Return the decisions that stand already, of all parts of these chunks."""
    rows = await connection.fetch("select * from gate where chunk_id = any($1::uuid[])", chunk_ids)
    return {
        (row["chunk_id"].hex, row["part"]): GateRow(
            row["chunk_id"].hex,
            row["part"],
            row["tenant"],
            row["decided_at"],
            row["policy_version"],
            row["released"],
            row["nothing"],
            row["decided"],
            row["covers"],
        )
        for row in rows
    }


async def insert_rows(connection: Connection, rows: Sequence[GateRow]) -> None:
    """Record the decisions; one statement for the batch."""
    await connection.executemany("insert into gate values ($1, $2, $3, $4, $5, $6, $7, $8, $9)", rows)


async def offer_again(connection: Connection, chunk_ids: Sequence[str]) -> None:
    """Let the relay publish decided parts of these chunks once more, in the same batches and so under the same ids.

    A chunk that comes again may come because the bus lost what followed; repeating what it did not lose changes nothing.
    """
    await connection.execute(
        """
        update held_part p set published = false from held_chunk c
        where p.chunk_id = any($1::uuid[]) and p.published and c.chunk_id = p.chunk_id and c.part = p.part
            and length(c.payload) > 0
        """,
        chunk_ids,
    )


async def ways_of_tasks(connection: Connection, tasks: Sequence[str]) -> dict[str, str]:
    """Return the ways decided before, by task."""
    rows = await connection.fetch("select task_id, way from task_gate where task_id = any($1)", tasks)
    return {row["task_id"]: row["way"] for row in rows}


async def insert_ways(connection: Connection, ways: Sequence[tuple[str, str, str, int]]) -> None:
    """Record ways of tasks: (task id, tenant, way, decided at)."""
    await connection.executemany(
        "insert into task_gate values ($1, $2, $3, $4) on conflict (task_id) do nothing", sorted(ways)
    )


async def clusters_of(
    connection: Connection, tenant: str, enterprise: str, since_minute: int
) -> list[tuple[int, tuple[int, ...], int]]:
    """Return the enterprise's contents seen since then: (cluster, sketch, minute last seen)."""
    rows = await connection.fetch(
        """
        select cluster, sketch, seen_minute from content_cluster
        where tenant = $1 and enterprise = $2 and seen_minute >= $3 order by seen_minute desc limit $4
        """,
        tenant,
        enterprise,
        since_minute,
        MAX_CLUSTERS,
    )
    return [(row["cluster"], unpack(row["sketch"]), row["seen_minute"]) for row in rows]


async def upsert_clusters(connection: Connection, rows: Iterable[tuple[str, str, int, tuple[int, ...], int]]) -> None:
    """Store contents: (tenant, enterprise, cluster, sketch, minute seen)."""
    await connection.executemany(
        """
        insert into content_cluster values ($1, $2, $3, $4, $5)
        on conflict (tenant, enterprise, cluster)
        do update set seen_minute = greatest(content_cluster.seen_minute, excluded.seen_minute)
        """,
        sorted((t, e, c, pack(s), m) for t, e, c, s, m in rows),
    )


async def counts_of(
    connection: Connection, keys: Sequence[tuple[str, str, int]], since_minute: int
) -> dict[tuple[str, str, int], dict[int, int]]:
    """Return messages per minute since then of the contents (tenant, enterprise, cluster)."""
    rows = await connection.fetch(
        """
        select c.tenant, c.enterprise, c.cluster, c.minute, c.messages from content_count c
        join unnest($1::text[], $2::text[], $3::bigint[]) as k(tenant, enterprise, cluster)
        on c.tenant = k.tenant and c.enterprise = k.enterprise and c.cluster = k.cluster
        where c.minute >= $4
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        since_minute,
    )
    found: dict[tuple[str, str, int], dict[int, int]] = {}
    for row in rows:
        key = (row["tenant"], row["enterprise"], row["cluster"])
        found.setdefault(key, {})[row["minute"]] = row["messages"]
    return found


async def add_counts(connection: Connection, added: dict[tuple[str, str, int, int], int]) -> None:
    """Add messages to (tenant, enterprise, cluster, minute); sorted, so that two writers cannot deadlock."""
    await connection.executemany(
        """
        insert into content_count values ($1, $2, $3, $4, $5)
        on conflict (tenant, enterprise, cluster, minute)
        do update set messages = content_count.messages + excluded.messages
        """,
        sorted((*key, messages) for key, messages in added.items()),
    )
