"""Reading what was said about a chunk: the events kept as they were, answers and reports from the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from servicekit.database import Connection


class Journal(NamedTuple):
    """Everything of one chunk."""

    releases: dict[str, asyncpg.Record]
    said: list[asyncpg.Record]
    answers: list[asyncpg.Record]
    reports: list[asyncpg.Record]
    resent: set[tuple[str, int, int, int]]
    """(release id, index, segment, grant it was uncertain in) of what was sent again."""


async def journal(tx: Connection, chunk_id: UUID, seen: Sequence[str]) -> Journal:
    """Return what is not among ``seen`` (event ids without the chunk's)."""
    releases = await tx.fetch(
        "select release_id, chunk_id, ekey, tenant, enterprise, lane, traceparent, payload from release where chunk_id = $1",
        chunk_id,
    )
    ids = [row["release_id"] for row in releases]
    said = await tx.fetch(
        "select event_id, topic, key, type, trace, at, payload from said where chunk_id = $1 and event_id <> all($2::text[])"
        " order by at",
        chunk_id,
        list(seen),
    )
    answers = await tx.fetch(
        "select a.id, a.grant_id, a.link, a.slot, a.epoch, a.release_id, a.at, a.indices, a.segs, a.totals, a.statuses,"
        " a.carrier_ids, a.recipients, l.protocol, l.letters"
        " from answer a left join link l on l.name = a.link"
        " where a.release_id = any($1) and 'answered:' || a.id <> all($2::text[]) order by a.id",
        ids,
        list(seen),
    )
    reports = await tx.fetch(
        "select id, link, at, indices, segs, states, codes from report r where chunk_id = $1"
        " and 'reported:' || r.id <> all($2::text[])"
        " and not exists (select 1 from said s where s.chunk_id = $1 and s.event_id = 'reported-' || r.id || ':0')"
        " order by id",
        chunk_id,
        list(seen),
    )
    resent = await tx.fetch("select release_id, index, seg, grant_id from uncertain where release_id = any($1)", ids)
    return Journal({row["release_id"]: row for row in releases}, said, answers, reports, {tuple(row) for row in resent})


async def totals(tx: Connection, release_ids: Sequence[str]) -> dict[tuple[int, int], int]:
    """Return how many segments the message of each answered (index, segment) has."""
    rows = await tx.fetch(
        "select x.i, x.s, x.t from answer a cross join unnest(a.indices, a.segs, a.totals) x (i, s, t)"
        " where a.release_id = any($1)",
        list(release_ids),
    )
    return {(row["i"], row["s"]): row["t"] for row in rows}
