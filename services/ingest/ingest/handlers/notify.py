"""Webhooks delivered: per target the oldest rows in one signed request; retried with back-off, given up after a day.

At least once: a receiver that answered too late gets the same changes again, under the same delivery id when the rows are the same.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import structlog

from ingest import metrics
from ingest.adapters.deliver import Deliverer, DeliveryError
from ingest.domain.callback import pause_s, signature
from ingest.handlers.register import RegisterCache
from ingest.store import webhooks
from ingest.store.webhooks import DueTarget
from servicekit.clock import Clock
from servicekit.database import Database, DatabaseUnavailable

IDLE_S = 0.5
TARGETS = 16
"""Receivers served at once."""
ROWS = 200
"""Rows of one request; a row is the changes of one chunk in one batch, at most 500."""
MAX_EVENTS = 1_000

log = structlog.get_logger()


class Notifier:
    """A lifecycle component; several processes share the targets by leases."""

    def __init__(
        self,
        database: Database,
        register: RegisterCache,
        deliverer: Deliverer,
        clock: Clock,
        *,
        timeout_s: float,
        back_off_s: float,
        dead_after_s: float,
    ) -> None:
        self._database = database
        self._register = register
        self._deliverer = deliverer
        self._clock = clock
        self._lease_s = timeout_s * 3 + 5
        self._back_off_s = back_off_s
        self._dead_after_s = dead_after_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Deliver until stopped; the requests under way are finished."""
        while not self._stopping.is_set():
            try:
                busy = await self.once()
            except DatabaseUnavailable as error:
                log.warning("webhooks_waiting", reason=str(error))
                busy = False
            if not busy:
                try:
                    async with asyncio.timeout(IDLE_S):
                        await self._stopping.wait()
                except TimeoutError:
                    continue

    async def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()

    async def once(self) -> bool:
        """Serve every target that is due, once; return whether there was any."""
        async with self._database.transaction() as connection:
            targets = await webhooks.lease(connection, TARGETS, self._lease_s)
        await asyncio.gather(*(self._serve(target) for target in targets))
        return bool(targets)

    async def _serve(self, target: DueTarget) -> None:
        async with self._database.connection() as connection:
            rows = await webhooks.due(connection, target.target_id, ROWS)
        taken, events = _events(rows)
        key = self._register.by_id(target.key_id)
        if key is None:
            await self._failed(target, "the API key is revoked")
            return
        delivery = f"{target.target_id}-{taken[0]}-{taken[-1]}" if taken else ""
        body = msgspec.json.encode({"id": delivery, "events": events})
        timestamp = self._clock.wall_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "Guanxin-Webhook/1",
            "guanxin-delivery": delivery,
            "guanxin-signature": signature(self._register.secret(key), timestamp, body),
        }
        try:
            if taken:
                await self._deliverer.post(target.url, body, headers)
        except DeliveryError as error:
            await self._failed(target, str(error))
        else:
            metrics.WEBHOOKS.labels("delivered").inc()
            async with self._database.transaction() as connection:
                await webhooks.delivered(connection, target.target_id, taken)

    async def _failed(self, target: DueTarget, reason: str) -> None:
        pause = pause_s(target.failures + 1, self._back_off_s, random.random())
        async with self._database.transaction() as connection:
            dead = await webhooks.failed(connection, target.target_id, reason[:200], pause, self._dead_after_s)
        metrics.WEBHOOKS.labels("failed").inc()
        metrics.WEBHOOKS_DEAD.inc(dead)
        log.warning("webhook_failed", target=target.target_id, failures=target.failures + 1, reason=reason, dead=dead)


def _events(rows: list[Any]) -> tuple[list[int], list[dict[str, Any]]]:
    """Return (row numbers, changes with the recipient's number), as many whole rows as one request may hold."""
    taken: list[int] = []
    events: list[dict[str, Any]] = []
    for row in rows:
        changes = msgspec.json.decode(row["body"])
        if taken and len(events) + len(changes) > MAX_EVENTS:
            break
        recipients = row["recipients"]
        for index, change in zip(row["indices"], changes, strict=True):
            # The chunk may be gone where its retention is shorter than the receiver's outage.
            events.append({**change, "to": str(recipients[index]) if recipients else ""})
        taken.append(row["webhook_id"])
    return taken, events
