"""The confirmation of an opt-out: one fixed text of the settings, to the number that said no, in the transaction that records it.

It is the only message dispatch makes itself: its text is the operator's, approved with the setting, it goes from the port the
customer wrote to, once per opt-out, and the opt-out list does not hold it back.
"""

from __future__ import annotations

from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.domain.routing import RouteTable
from dispatch.domain.work import Head
from dispatch.handlers.claiming import CONFIRMATION, pack
from dispatch.store import arrivals
from servicekit.database import Connection

VALIDITY_MS = 600_000


def confirmation(
    chunk_id: str, *, tenant: str, enterprise: str, number: int, letter: str, port: str, text: str, now_ms: int
) -> Chunk:
    """Return the chunk of one confirmation."""
    entry = Entry(
        task_id=chunk_id, first=0, count=1, port=port, pieces=[text], expires_at=now_ms + VALIDITY_MS, task_total=1
    )
    return Chunk(
        chunk_id=chunk_id,
        tenant=tenant,
        enterprise=enterprise,
        lane=Lane.NOTICE,
        accepted_at=now_ms,
        recipients=[number],
        carriers=letter,
        entries=[entry],
    )


async def enqueue(tx: Connection, chunk: Chunk, ekey: str, routes: RouteTable, now_ms: int) -> bool:
    """Queue a confirmation; False when it was queued before or has no route."""
    group = routes.route(chunk.carriers).group
    if not group:
        return False
    release_id = f"{CONFIRMATION}{chunk.chunk_id}"
    head = Head(release_id, chunk.chunk_id, chunk.tenant, chunk.enterprise, ekey, chunk.lane.rank, "")
    found = arrivals.Arrivals()
    place = found.release(head, [chunk.chunk_id], pack(chunk))
    found.items.append((place, arrivals.Item(group, 0, now_ms + VALIDITY_MS, [0])))
    row = await tx.fetchrow(arrivals.SQL, *found.args(now_ms))
    return row is not None and bool(found.fresh(row))
