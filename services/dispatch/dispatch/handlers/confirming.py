"""The confirmation of an opt-out: one fixed text of the settings, to the number that said no, in the transaction that records it.

It is the only message dispatch makes itself: its text is the operator's, approved with the setting, it goes from the port the
customer wrote to, once per opt-out, and the opt-out list does not hold it back.
"""

from __future__ import annotations

from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.domain.routing import RouteTable
from dispatch.handlers.claiming import CONFIRMATION, pack
from dispatch.store import queue
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
    release_id = f"{CONFIRMATION}{chunk.chunk_id}"
    row = (
        release_id,
        chunk.chunk_id,
        ekey,
        chunk.tenant,
        chunk.enterprise,
        chunk.lane.rank,
        [chunk.chunk_id],
        pack(chunk),
        "",
        now_ms,
    )
    if not group or not await queue.take_release(tx, row):
        return False
    item = queue.ItemRow(group, 0, now_ms + VALIDITY_MS, [0], sweep=False)
    await queue.insert_items(tx, [(release_id, ekey, chunk.lane.rank, item)], now_ms)
    return True
