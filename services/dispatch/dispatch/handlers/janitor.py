"""Deleting what is older than its retention, in small pieces, and telling the gauges; one worker at a time does it."""

from __future__ import annotations

import asyncio

import structlog

from contracts.lanes import LANES
from dispatch import metrics
from dispatch.store import queue
from dispatch.store.journal import OUTAGES
from servicekit.clock import Clock
from servicekit.database import Database

log = structlog.get_logger()

GAUGE_S = 5.0
CLEAN_S = 600.0
PIECE = 2_000
DAY_MS = 86_400_000

_OLD = (
    "delete from answer where ctid = any(array(select ctid from answer where at < $1 limit $2))",
    "delete from report where ctid = any(array(select ctid from report where at < $1 limit $2))",
    "delete from receipt_raw where ctid = any(array(select ctid from receipt_raw where at < $1 limit $2))",
    "delete from receipt_pending where ctid = any(array(select ctid from receipt_pending where received_at < $1 limit $2))",
    "delete from said where ctid = any(array(select ctid from said where at < $1 limit $2))",
    "delete from uncertain where ctid = any(array(select ctid from uncertain where at < $1 limit $2))",
    "delete from mo_raw where ctid = any(array(select ctid from mo_raw where done and at < $1 limit $2))",
    "delete from cancelled_task where ctid = any(array(select ctid from cancelled_task where at < $1 limit $2))",
    (
        "delete from release where ctid = any(array(select r.ctid from release r where r.taken_at < $1"
        " and not exists (select 1 from item i where i.release_id = r.release_id)"
        " and not exists (select 1 from grants g where g.release_id = r.release_id) limit $2))"
    ),
)


class Janitor:
    """Keeps the tables small and the gauges true."""

    def __init__(self, database: Database, *, clock: Clock, retention_days: int) -> None:
        self._database = database
        self._clock = clock
        self._retention_ms = retention_days * DAY_MS

    async def run(self) -> None:
        """Work for ever."""
        cleaned = self._clock.monotonic()
        while True:
            try:
                await self.measure()
                if self._clock.monotonic() - cleaned > CLEAN_S:
                    cleaned = self._clock.monotonic()
                    await self.clean()
            except OUTAGES as error:
                log.warning("janitor_waiting", reason=str(error))
            await asyncio.sleep(GAUGE_S)

    async def measure(self) -> None:
        """Set the gauges of the queue."""
        metrics.QUEUED.clear()
        for row in await queue.depth(self._database):
            state = "ready" if row["state"] else "waiting"
            metrics.QUEUED.labels(row["grp"], LANES[row["lane"]].value, state).set(row["messages"])
        now_ms = self._clock.wall_ms()
        ages = await self._database.fetch(
            "select i.lane, min(greatest(r.taken_at, i.not_before)) since from item i join release r on r.release_id = i.release_id"
            " where i.state = 1 group by i.lane"
        )
        for lane in LANES:
            metrics.SENDABLE_AGE.labels(lane.value).set(0)
        for row in ages:
            metrics.SENDABLE_AGE.labels(LANES[row["lane"]].value).set((now_ms - row["since"]) / 1000)
        metrics.PENDING_RECEIPTS.set(await self._database.fetchval("select count(*) from receipt_pending"))
        metrics.OUTBOX.set(await self._database.fetchval("select count(*) from outbox"))

    async def clean(self) -> None:
        """Delete what is too old, piece by piece."""
        before = self._clock.wall_ms() - self._retention_ms
        for sql in _OLD:
            while True:
                tag = await self._database.execute(sql, before, PIECE)
                if int(tag.rpartition(" ")[2]) < PIECE:
                    break
