"""Session slots, workers and rate shares: every change is a compare-and-set on what the caller saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from dispatch.domain.linkconfig import LinkConfig
from servicekit.database import Connection, Database

_UPSERT_LINK = """
insert into link (name, protocol, config, grp, rank, letters, rate, sessions, win)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (name) do update set protocol = excluded.protocol, config = excluded.config, grp = excluded.grp, rank = excluded.rank,
    letters = excluded.letters, rate = excluded.rate, sessions = excluded.sessions, win = excluded.win, configured = true,
    share_version = link.share_version + case when link.rate = excluded.rate then 0 else 1 end
"""

_RENEW = """
with alive as (update worker set beat = beat + 1 where owner = $1)
update session_slot s set beat = s.beat + 1, bound = u.bound, phase = u.phase, last_error = u.error
from (
    select k.link, k.slot, w.bound, w.phase, w.error from session_slot k
    join unnest($2::text[], $3::int2[], $4::int8[], $5::bool[], $6::text[], $7::text[]) w (link, slot, epoch, bound, phase, error)
        on k.link = w.link and k.slot = w.slot and k.epoch = w.epoch and k.owner = $1
    order by k.link, k.slot for update of k
) u where s.link = u.link and s.slot = u.slot
returning s.link, s.slot, s.epoch, s.tokens
"""


async def upsert_links(database: Database, links: Sequence[LinkConfig]) -> None:
    """Make the tables say what the links file says; links no longer in it are marked and get no sessions.

    Slots above the agreed number are removed when nobody owns them, and never handed out before.
    """
    async with database.transaction() as tx:
        for link in links:
            await tx.execute(
                _UPSERT_LINK,
                link.name,
                link.protocol,
                link.public(),
                link.group,
                link.rank,
                link.letters,
                link.rate,
                link.sessions,
                link.window,
            )
            await tx.execute(
                "insert into session_slot (link, slot) select $1, n from generate_series(1, $2::int) n on conflict do nothing",
                link.name,
                link.sessions,
            )
            await tx.execute(
                "delete from session_slot where link = $1 and slot > $2 and owner is null", link.name, link.sessions
            )
        await tx.execute("update link set configured = false where name <> all($1)", [link.name for link in links])


async def register(database: Database, owner: str) -> None:
    """Make the worker's row."""
    async with database.transaction() as tx:
        await tx.execute("insert into worker (owner) values ($1) on conflict do nothing", owner)
        await tx.execute("insert into worker_cycle (owner) values ($1) on conflict do nothing", owner)


async def renew(
    database: Database, owner: str, held: Mapping[tuple[str, int], tuple[int, bool, str, str]]
) -> dict[tuple[str, int], tuple[int, int]]:
    """Beat for the worker and all its slots in one round trip; ``held`` maps a slot to (epoch, bound, phase, last error).

    Returns (epoch, tokens) of the slots that are still ours.
    """
    rows = await database.fetch(
        _RENEW,
        owner,
        [link for link, _ in held],
        [slot for _, slot in held],
        [row[0] for row in held.values()],
        [row[1] for row in held.values()],
        [row[2] for row in held.values()],
        [row[3] for row in held.values()],
    )
    return {(row["link"], row["slot"]): (row["epoch"], row["tokens"]) for row in rows}


async def overview(database: Database) -> tuple[list[asyncpg.Record], list[asyncpg.Record], list[asyncpg.Record]]:
    """Return (links, slots, workers) as the tables show them."""
    async with database.connection() as connection:
        links = await connection.fetch(
            "select name, protocol, grp, rank, letters, rate, sessions, win, state, configured, share_version,"
            " coalesce((config ->> 'listen_port')::int, 0) listens, coalesce((config ->> 'workers')::int, 0) workers"
            " from link order by name"
        )
        slots = await connection.fetch(
            "select s.link, s.slot, s.epoch, s.owner, s.beat, s.tokens, s.bound, s.phase, s.last_error from session_slot s"
            " join link l on l.name = s.link where s.slot <= l.sessions order by s.link, s.slot"
        )
        workers = await connection.fetch("select owner, beat from worker")
    return links, slots, workers


async def acquire(tx: Connection, link: str, slot: int, epoch: int, beat: int, owner: str) -> bool:
    """Raise the epoch and own the slot, if it still is as seen.  Its tokens start at 0: a share has to be taken."""
    await tx.execute("select 1 from link where name = $1 for update", link)  # before its slots, as everybody does
    row = await tx.fetchrow(
        "update session_slot set epoch = epoch + 1, owner = $5, beat = beat + 1, tokens = 0, bound = false, phase = 'acquired',"
        " last_error = '' where link = $1 and slot = $2 and epoch = $3 and beat = $4 returning epoch",
        link,
        slot,
        epoch,
        beat,
        owner,
    )
    if row is None:
        return False
    await tx.execute("update link set share_version = share_version + 1 where name = $1", link)
    return True


async def release(database: Database, link: str, slot: int, epoch: int, owner: str) -> None:
    """Give a slot back: its session is closed, nothing of it is open."""
    async with database.transaction() as tx:
        await tx.execute("select 1 from link where name = $1 for update", link)
        await tx.execute(
            "update item set claim_link = null, claim_slot = null, claim_epoch = null where claim_link = $1 and claim_slot = $2",
            link,
            slot,
        )
        row = await tx.fetchrow(
            "update session_slot set owner = null, tokens = 0, bound = false, phase = 'unowned', beat = beat + 1"
            " where link = $1 and slot = $2 and epoch = $3 and owner = $4 returning slot",
            link,
            slot,
            epoch,
            owner,
        )
        if row is not None:
            await tx.execute("update link set share_version = share_version + 1 where name = $1", link)


async def change_tokens(
    database: Database, link: str, seen_version: int, tokens: Mapping[int, int], *, rate: int
) -> bool:
    """Set slots' tokens if the link's share version is still the one seen and their sum stays within the rate."""
    async with database.transaction() as tx:
        version = await tx.fetchval("select share_version from link where name = $1 for update", link)
        if version != seen_version:
            return False
        rows = await tx.fetch("select slot, tokens from session_slot where link = $1 order by slot for update", link)
        after = {row["slot"]: row["tokens"] for row in rows} | dict(tokens)
        before = sum(row["tokens"] for row in rows)
        if sum(after.values()) > max(rate, before - 1):
            return False
        await tx.execute(
            "update session_slot s set tokens = u.tokens from unnest($2::int2[], $3::int4[]) u (slot, tokens)"
            " where s.link = $1 and s.slot = u.slot",
            link,
            list(tokens),
            list(tokens.values()),
        )
        await tx.execute("update link set share_version = share_version + 1 where name = $1", link)
        return True


async def set_state(database: Database, link: str, state: str) -> bool:
    """Set a link active, suspended or draining; False when there is no such link."""
    return (
        await database.fetchval("update link set state = $2 where name = $1 returning name", link, state)
    ) is not None


async def forget_workers(database: Database, owners: Sequence[str]) -> None:
    """Remove workers that are gone and own nothing."""
    await database.execute(
        "with gone as (delete from worker_cycle c where owner = any($1)"
        " and not exists (select 1 from session_slot s where s.owner = c.owner)) delete from worker w where owner = any($1)"
        " and not exists (select 1 from session_slot s where s.owner = w.owner)",
        list(owners),
    )


async def open_grants(tx: Connection, link: str, slot: int, below: int) -> list[Any]:
    """Return the open grants of a slot under older epochs, with what was answered of each as flat arrays."""
    return list(
        await tx.fetch(
            """
            select g.*, r.chunk_id, r.tenant, r.enterprise, r.ekey, r.traceparent, r.payload,
                   coalesce((select array_agg(x.i order by a.id, x.o) from answer a
                             cross join unnest(a.indices) with ordinality x (i, o) where a.grant_id = g.id), '{}')::int4[] answered_indices,
                   coalesce((select array_agg(x.s order by a.id, x.o) from answer a
                             cross join unnest(a.segs) with ordinality x (s, o) where a.grant_id = g.id), '{}')::int4[] answered_segs
            from grants g join release r on r.release_id = g.release_id
            where g.link = $1 and g.slot = $2 and g.epoch < $3 order by g.id
            """,
            link,
            slot,
            below,
        )
    )
