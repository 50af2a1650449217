"""Inserting events into the outbox in the transaction of their cause."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dispatch.domain.outcomes import Outgoing
from servicekit.database import Connection

BLOCK = 4096
"""Ids one `nextval` gives: the sequence's increment."""


async def insert_events(tx: Connection, events: list[Outgoing], now_ms: int) -> None:
    """Insert events, giving each an outbox id; the list is updated in place so that the fast path can delete by it."""
    for begin in range(0, len(events), BLOCK):
        first = await tx.fetchval("select nextval('journal_id')")
        for place in range(begin, min(begin + BLOCK, len(events))):
            events[place] = msgspec.structs.replace(events[place], id=first + place - begin)
    await insert_numbered(tx, events, now_ms)


async def insert_numbered(tx: Connection, events: Sequence[Outgoing], now_ms: int) -> None:
    """Insert events that have their ids."""
    await tx.execute(
        "insert into outbox (id, topic, key, type, trace, at, payload)"
        " select u.id, u.topic, u.key, u.type, u.trace, $6, u.payload"
        " from unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $7::bytea[])"
        " u (id, topic, key, type, trace, payload)",
        [e.id for e in events],
        [e.topic for e in events],
        [e.key for e in events],
        [e.type for e in events],
        [e.trace for e in events],
        now_ms,
        [e.payload for e in events],
    )
