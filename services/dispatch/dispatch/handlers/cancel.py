"""A task is withdrawn: what is granted goes out, everything else of it ends as cancelled."""

from __future__ import annotations

from collections.abc import Callable

from bus.handling import Effect
from bus.records import Batch
from contracts.envelope import partition_key
from contracts.events.ingest import TaskCancelled
from dispatch.store import queue
from servicekit.clock import Clock
from servicekit.database import Connection


class Cancel:
    """Stateful handler of `ingest.cancelled`: marks the task's items; the sweeper closes them and says so."""

    def __init__(self, *, clock: Clock, wake_sweeper: Callable[[], None]) -> None:
        self._clock = clock
        self._wake_sweeper = wake_sweeper

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Record the tasks as cancelled: releases that come later are closed on arrival."""
        for record in batch:
            event: TaskCancelled = record.data
            ekey = partition_key(record.envelope.tenant, event.enterprise)
            await queue.mark_cancelled(tx, ekey, event.task_id, self._clock.wall_ms())
        return Effect()

    async def committed(self, batch: Batch, effect: Effect) -> None:
        """Close them now."""
        del batch, effect
        self._wake_sweeper()
