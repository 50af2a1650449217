"""The queue in PostgreSQL: claiming items, loading what they need, sweeping what has ended."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from servicekit.database import Connection, Database

_CLAIM = """
with recursive turn (ekey) as (
    (select i.ekey from item i where i.grp = $1 and i.lane = $2 and i.claim_link is null and i.state = 1 and not i.sweep
        and i.ekey > $3 order by i.ekey limit 1)
    union all
    select (select i.ekey from item i where i.grp = $1 and i.lane = $2 and i.claim_link is null and i.state = 1 and not i.sweep
        and i.ekey > turn.ekey order by i.ekey limit 1)
    from turn where turn.ekey is not null
), turns as (select ekey from turn where ekey is not null and ekey <> all($10::text[]) limit $4),
chosen as (
    select c.* from turns cross join lateral (
        select i.id, i.ekey, i.seq, i.segs is null and i.n - i.pos > $12 as cut, least(i.n - i.pos, $12) messages from item i
        where i.grp = $1 and i.lane = $2 and i.claim_link is null and i.state = 1 and not i.sweep and i.ekey = turns.ekey
          and (i.avoid is null or i.avoid <> $9)
        order by i.seq, i.id limit $5 for update skip locked
    ) c
), ranked as (
    select id, cut, messages, row_number() over (partition by ekey order by seq, id) place, ekey from chosen
), summed as (
    select id, cut, sum(messages) over (order by place, ekey rows between unbounded preceding and 1 preceding) before from ranked
), picked as (
    select id, cut from summed where coalesce(before, 0) < $11
), rest as (
    insert into item (seq, release_id, ekey, lane, grp, kind, state, not_before, expires_at, attempt, avoid, indices, n)
    select i.seq, i.release_id, i.ekey, i.lane, i.grp, i.kind, 1, i.not_before, i.expires_at, i.attempt, i.avoid,
           i.indices[i.pos + $12 + 1 : i.n], i.n - i.pos - $12
    from item i join picked on picked.id = i.id where picked.cut
)
update item set claim_link = $6, claim_slot = $7, claim_epoch = $8, version = version + 1,
    indices = case when cut then indices[1 : pos + $12] else indices end, n = case when cut then pos + $12 else n end
from picked where item.id = picked.id
returning item.id, item.seq, item.release_id, item.ekey, item.lane, item.grp, item.kind, item.attempt, item.expires_at, item.indices,
          item.segs, item.pos, item.version
"""

_PROMOTE = "update item set state = 1 where state = 0 and not_before <= $1 returning grp, lane"

_SWEEP = """
select id, release_id, ekey, lane, grp, kind, attempt, expires_at, indices, segs, pos, version
from item where (sweep or (expires_at <= $1 and (claim_link is null or expires_at <= $1 - 5000)))
order by id limit $2 for update skip locked
"""


async def claim(
    database: Database,
    *,
    grp: str,
    lane: int,
    after: str,
    enterprises: int,
    each: int,
    link: str,
    slot: int,
    epoch: int,
    avoid_me: bool,
    skip: Sequence[str],
    messages: int,
    piece: int,
) -> list[asyncpg.Record]:
    """Claim items of a group and class: of ``enterprises`` enterprises after ``after``, ``each`` of each.

    At most about ``messages`` in all and ``piece`` of one item, whose rest stays free: what one worker claims, another cannot send.
    A claim raises the item's version, so a former holder finds it stale.
    ``skip``: enterprises that have enough claimed already.  ``avoid_me``: leave items that failed on this link to the group's others.
    """
    return await database.fetch(
        _CLAIM,
        grp,
        lane,
        after,
        enterprises,
        each,
        link,
        slot,
        epoch,
        link if avoid_me else "",
        list(skip),
        messages,
        piece,
    )


async def peek(database: Database, groups: Sequence[str]) -> set[tuple[str, int]]:
    """Return the (group, lane) pairs of which something could be claimed: one cheap look for all."""
    rows = await database.fetch(
        "select g.grp, l.lane from unnest($1::text[]) g (grp) cross join generate_series(0, 3) l (lane) where exists ("
        "select 1 from item i where i.grp = g.grp and i.lane = l.lane and i.claim_link is null and i.state = 1 and not i.sweep)",
        list(groups),
    )
    return {(row["grp"], row["lane"]) for row in rows}


async def unclaim(connection: Connection | Database, link: str, slot: int) -> None:
    """Give back everything claimed under a slot."""
    await connection.execute(
        "update item set claim_link = null, claim_slot = null, claim_epoch = null where claim_link = $1 and claim_slot = $2",
        link,
        slot,
    )


async def unclaim_items(database: Database, link: str, items: Sequence[int]) -> None:
    """Give back some items claimed for a link."""
    await database.execute(
        "update item set claim_link = null, claim_slot = null, claim_epoch = null where id = any($1) and claim_link = $2",
        list(items),
        link,
    )


async def promote(database: Database, now_ms: int) -> set[tuple[str, int]]:
    """Make ready what had to wait until now; return the (group, lane) pairs concerned."""
    rows = await database.fetch(_PROMOTE, now_ms)
    return {(row["grp"], row["lane"]) for row in rows}


async def payloads(database: Database, release_ids: Sequence[str]) -> list[asyncpg.Record]:
    """Return the releases with their payload."""
    return await database.fetch(
        "select release_id, chunk_id, tenant, enterprise, ekey, lane, traceparent, payload from release"
        " where release_id = any($1)",
        list(release_ids),
    )


async def opted_out(
    connection: Connection | Database, tenant: str, enterprise: str, numbers: Sequence[int]
) -> set[int]:
    """Return which of the numbers said no to the enterprise."""
    rows = await connection.fetch(
        "select number from opt_out where tenant = $1 and enterprise = $2 and number = any($3)",
        tenant,
        enterprise,
        list(numbers),
    )
    return {row["number"] for row in rows}


async def cancelled(connection: Connection | Database, task_ids: Sequence[str]) -> set[str]:
    """Return which of the tasks are cancelled."""
    rows = await connection.fetch("select task_id from cancelled_task where task_id = any($1)", list(task_ids))
    return {row["task_id"] for row in rows}


async def resolved(connection: Connection | Database, release_id: str) -> set[tuple[int, int]]:
    """Return the (index, segment) of a release that were uncertain and are known by now."""
    rows = await connection.fetch(
        "select index, seg from uncertain where release_id = $1 and resolved = 'receipt'", release_id
    )
    return {(row["index"], row["seg"]) for row in rows}


async def sweepable(tx: Connection, now_ms: int, limit: int) -> list[asyncpg.Record]:
    """Lock items that are expired or marked by a cancel; the caller closes what has ended and rewrites or deletes the rest."""
    return list(await tx.fetch(_SWEEP, now_ms, limit))


async def shrink(tx: Connection, item: int, indices: list[int], segs: list[int] | None, expires_at: int) -> None:
    """Replace what is left of an item; an empty rest deletes it.  Its claim ends, so a holder finds it stale."""
    if not indices:
        await tx.execute("delete from item where id = $1", item)
        return
    await tx.execute(
        "update item set indices = $2, segs = $3, pos = 0, n = $4, version = version + 1, sweep = false, expires_at = $5,"
        " claim_link = null, claim_slot = null, claim_epoch = null where id = $1",
        item,
        indices,
        segs,
        len(indices),
        expires_at,
    )


async def mark_cancelled(tx: Connection, ekey: str, task_id: str, at: int) -> int:
    """Record a cancelled task and mark its queued items for the sweeper; return how many."""
    await tx.execute("insert into cancelled_task (task_id, at) values ($1, $2) on conflict do nothing", task_id, at)
    tag = await tx.execute(
        "update item set sweep = true, version = item.version + 1, claim_link = null, claim_slot = null, claim_epoch = null"
        " from release r where item.ekey = $1 and r.release_id = item.release_id and $2 = any(r.task_ids)",
        ekey,
        task_id,
    )
    return int(tag.rpartition(" ")[2])


async def depth(database: Database) -> list[asyncpg.Record]:
    """Return (grp, lane, items, messages, oldest ready id) of the queue."""
    return await database.fetch(
        "select grp, lane, state, count(*) items, coalesce(sum(n - pos), 0)::int8 messages from item group by grp, lane, state"
    )
