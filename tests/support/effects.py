"""One batch through a handler as the bus's consumer would take it, without a broker."""

from __future__ import annotations

from typing import Any

import asyncpg

from bus.handling import DECLINED, AfterCommit, CallingHandler, Effect
from bus.records import Batch
from servicekit.database import Database


async def perform(database: Database, handler: Any, batch: Batch) -> Effect:
    """Do a batch's effect and tell the handler of it."""
    effect = await _called(database, handler, batch)
    if effect is None:
        async with database.transaction() as tx:
            effect = await handler.effect(tx, batch)
    if isinstance(handler, AfterCommit):
        await handler.committed(batch, effect)
    return effect


async def _called(database: Database, handler: Any, batch: Batch) -> Effect | None:
    call = await handler.call(batch) if isinstance(handler, CallingHandler) else None
    if call is None:
        return None
    assert not call.invalid
    try:
        row = await database.fetchrow(f"select c.* from {call.sql} c", *call.args)
    except asyncpg.PostgresError as error:
        if error.sqlstate == DECLINED:
            return None
        raise
    effect: Effect = call.settle(row)
    return effect
