"""The caller withdrew a task: held messages end here; what was released before is dispatch's to stop."""

from __future__ import annotations

from bus.handling import Effect
from bus.records import Batch, Invalid
from contracts.events.ingest import TaskCancelled
from review.store import items
from servicekit.clock import Clock
from servicekit.database import Connection


class Withdrawals:
    """The consumer of ``ingest.cancelled``; the relay publishes what follows."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock decisions are dated by."""
        self._clock = clock

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Withdraw the batch's tasks in the bus's transaction; repeating it changes nothing."""
        invalid: list[Invalid] = []
        by_tenant: dict[str, set[str]] = {}
        for record in batch.records:
            event = record.envelope.data
            if isinstance(event, TaskCancelled):
                by_tenant.setdefault(record.envelope.tenant, set()).add(event.task_id)
            else:
                invalid.append(Invalid(record, "unexpected_type", f"{record.envelope.type} does not belong here"))
        for tenant in sorted(by_tenant):
            await items.withdraw(tx, tenant, sorted(by_tenant[tenant]), self._clock.wall_ms())
        return Effect(invalid=invalid)
