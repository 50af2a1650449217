"""Statements that file held parts under review items: the items of a task, what they show, and the payloads that wait.

All work on a whole batch at once with arrays.  The caller's task is ``coalesce(late_of, task_id)`` of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from review.domain.item import ItemState
from review.domain.sight import Sight, Standing
from servicekit.database import Connection

_encode = msgspec.json.Encoder().encode


class NewItem(NamedTuple):
    """A review item as it is opened; the fields are columns of ``item``."""

    task_id: str
    tenant: str
    enterprise: str
    lane: str
    port: str
    tier: str
    state: str
    reason: str
    risk: int
    fast_lane: bool
    total: int
    chunks: int
    content: str
    template: bool
    cluster: int
    sketch: bytes
    posted_by: str
    ref: str
    queued_at: int
    not_before: int
    expires_at: int
    due_at: int | None
    late_of: str | None
    round: int
    fingerprint: int


_KINDS = [
    "text",
    "text",
    "text",
    "text",
    "text",
    "text",
    "text",
    "text",
    "smallint",
    "boolean",
    "integer",
    "integer",
    "text",
    "boolean",
    "bigint",
    "bytea",
    "text",
    "text",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "text",
    "smallint",
    "bigint",
]
_INSERT_ITEMS = f"""
insert into item ({", ".join(NewItem._fields)})
select * from unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_KINDS, 1))})
on conflict (task_id) do nothing
"""  # noqa: S608 - the columns above


class Joined(NamedTuple):
    """What a batch adds to an item that exists: ``messages`` held, and whether there is something new to see."""

    item: str
    messages: int
    news: int
    risk: int
    reason: str


async def lock(connection: Connection, tasks: Sequence[str]) -> None:
    """Keep others from filing parts of these tasks and from deciding their items until the transaction ends.

    The rows of ``task_gate`` are there before any part is held, so two lanes that hold parts of one task meet there also when it has
    no item yet.  Always in the order of ids.
    """
    await connection.execute(
        "select from task_gate where task_id = any($1) order by task_id for no key update", list(tasks)
    )
    await connection.execute(
        "select from item where task_id = any($1) or late_of = any($1) order by task_id for no key update", list(tasks)
    )


async def standing(connection: Connection, tasks: Sequence[str]) -> dict[str, list[Standing]]:
    """Return the items of these tasks by round, with what each of them shows."""
    rows = await connection.fetch(
        """
        select i.task_id, coalesce(i.late_of, i.task_id) as task, i.round, i.state, i.fast_lane, i.fingerprint,
            array(select digest from item_sight s where s.task_id = i.task_id) as seen
        from item i where i.task_id = any($1) or i.late_of = any($1) order by i.round
        """,
        list(tasks),
    )
    found: dict[str, list[Standing]] = {}
    for row in rows:
        seen = set(row["seen"])
        if row["fingerprint"] is not None:
            seen.add(row["fingerprint"])
        state = ItemState(row["state"])
        found.setdefault(row["task"], []).append(Standing(row["task_id"], row["round"], state, row["fast_lane"], seen))
    return found


async def insert_items(connection: Connection, rows: Sequence[NewItem]) -> None:
    """Open review items.

    One statement, so that its trigger tells the pages once: ten thousand held single messages are ten thousand rows.
    """
    ordered = sorted(rows, key=lambda row: row.task_id)
    await connection.execute(_INSERT_ITEMS, *(list(column) for column in zip(*ordered, strict=True)))


async def join_items(connection: Connection, rows: Sequence[Joined]) -> None:
    """Add what arrived to items; a late item has the size of what arrived late, the first one that of its task."""
    await connection.execute(
        """
        update item set news = item.news + j.news, version = version + 1,
            total = item.total + case when late_of is null then 0 else j.messages end,
            reason = case when j.risk > item.risk then j.reason else item.reason end,
            risk = greatest(item.risk, j.risk)
        from unnest($1::text[], $2::integer[], $3::integer[], $4::smallint[], $5::text[])
            as j(task_id, messages, news, risk, reason)
        where item.task_id = j.task_id
        """,
        *(list(column) for column in zip(*sorted(rows), strict=True)),
    )


async def record_sights(connection: Connection, sights: Sequence[tuple[str, Sight]]) -> None:
    """Record what items show (item, sight); one that is known counts further."""
    ordered = sorted(sights, key=lambda pair: (pair[0], pair[1].digest))
    await connection.execute(
        """
        insert into item_sight (task_id, digest, kind, finding, text, chunk_id, index, messages)
        select * from unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::uuid[], $7::integer[],
            $8::integer[])
        on conflict (task_id, digest) do update set messages = item_sight.messages + excluded.messages
        """,
        [item for item, _ in ordered],
        [sight.digest for _, sight in ordered],
        [sight.kind.value for _, sight in ordered],
        [None if sight.finding is None else _encode(sight.finding) for _, sight in ordered],
        [sight.text for _, sight in ordered],
        [sight.chunk_id for _, sight in ordered],
        [sight.index for _, sight in ordered],
        [sight.messages for _, sight in ordered],
    )


async def insert_held(
    connection: Connection,
    chunks: Sequence[tuple[str, int, str, int, str, bytes]],
    parts: Sequence[tuple[str, str, int, int, str, list[int], dict[str, int]]],
) -> None:
    """Store payloads (chunk id, part, tenant, at, trace, octets) and what waits in them (item, chunk, part, entry,
    reason, indices, carriers).
    """
    await connection.executemany("insert into held_chunk values ($1, $2, $3, $4, $5, $6)", chunks)
    tasks, chunk_ids, numbers, entries, reasons, indices, carriers = zip(*parts, strict=True)
    await connection.execute(
        """
        insert into held_part (task_id, chunk_id, part, entry, reason, indices, carriers)
        select task_id, chunk_id, part, entry, reason, indices::integer[], carriers
        from unnest($1::text[], $2::uuid[], $3::smallint[], $4::smallint[], $5::text[], $6::text[], $7::jsonb[])
            as p(task_id, chunk_id, part, entry, reason, indices, carriers)
        """,
        tasks,
        chunk_ids,
        numbers,
        entries,
        reasons,
        # An array of arrays of different lengths does not exist in PostgreSQL: each travels as its literal.
        [f"{{{','.join(map(str, row))}}}" for row in indices],
        carriers,
    )


async def withdraw_arrived(connection: Connection, tasks: Sequence[str], at_ms: int) -> None:
    """Withdraw items of these tasks whose cancellation overtook their chunks."""
    await connection.execute(
        """
        update item set state = 'withdrawn', decided_at = $2, due_at = $2, version = version + 1
        where (task_id = any($1) or late_of = any($1)) and state in ('queued', 'claimed')
          and exists (select 1 from withdrawn_task w where w.task_id = coalesce(item.late_of, item.task_id))
        """,
        tasks,
        at_ms,
    )
