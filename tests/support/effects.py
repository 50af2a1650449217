"""One batch through a handler as the bus's consumer would take it, without a broker."""

from __future__ import annotations

from typing import Any

from bus.handling import CallingHandler, Effect
from bus.records import Batch
from servicekit.database import Database


async def perform(database: Database, handler: Any, batch: Batch) -> Effect:
    """Do a batch's effect and tell the handler of it."""
    call = await handler.call(batch) if isinstance(handler, CallingHandler) else None
    if call is not None:
        effect = call.settle(await database.fetchrow(f"select c.* from {call.sql} c", *call.args))
        assert not call.invalid
    else:
        async with database.transaction() as tx:
            effect = await handler.effect(tx, batch)
    await handler.committed(batch, effect)
    return effect
