"""Closing what has ended while it waited: expired, cancelled; and making ready what was scheduled for now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from contracts.events.dispatch import CloseCause
from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.outcomes import Outgoing
from dispatch.handlers.claiming import ReleaseCache, release_of
from dispatch.store import queue
from dispatch.store.journal import OUTAGES
from dispatch.store.outbox import insert_events
from servicekit.clock import Clock
from servicekit.database import Connection, Database

log = structlog.get_logger()

INTERVAL_S = 0.2
BATCH = 20
"""Items closed in one transaction: each decodes a chunk, and the loop must not be held long."""

SWEEP_EVERY = 5
"""Expired items are looked for in every fifth round, once a second; cancelled ones at once when told."""


class Sweeper:
    """Runs in every worker; rows are shared out by SKIP LOCKED."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        hint: Callable[[set[tuple[str, int]]], None],
        publish: Callable[[list[Outgoing]], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._hint = hint
        self._publish = publish
        self._wake = asyncio.Event()
        self._cache = ReleaseCache(8 * 1024 * 1024)
        self._round = 0

    def wake(self) -> None:
        """Sweep at once."""
        self._round = 0
        self._wake.set()

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                more = await self.once()
            except OUTAGES as error:
                log.warning("sweeper_waiting", reason=str(error))
                more = False
            if not more:
                try:
                    async with asyncio.timeout(INTERVAL_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()

    async def once(self) -> bool:
        """Do one round; True when there may be more to close."""
        now_ms = self._clock.wall_ms()
        ready = await queue.promote(self._database, now_ms)
        if ready:
            self._hint(ready)
        self._round += 1
        if self._round % SWEEP_EVERY != 1:
            return False
        events: list[Outgoing] = []
        async with self._database.transaction() as tx:
            rows = await queue.sweepable(tx, now_ms, BATCH)
            for row in rows:
                events += await self._close(tx, row, now_ms)
            if events:
                await insert_events(tx, events, now_ms)
        if events:
            self._publish(events)
        if len(rows) == BATCH:
            self._round = 0
            return True
        return False

    async def _close(self, tx: Connection, row: asyncpg.Record, now_ms: int) -> list[Outgoing]:
        release = self._cache.get(row["release_id"])
        if release is None:
            stored = await tx.fetchrow("select * from release where release_id = $1", row["release_id"])
            assert stored is not None, "an item's release is in the table: the foreign key says so"
            release = release_of(stored)
            self._cache.put(release, len(stored["payload"]))
        chunk, head = release.chunk, release.head
        gone = await queue.cancelled(tx, [e.task_id for e in chunk.entries])
        ended: dict[CloseCause, list[int]] = {}
        indices: list[int] = []
        segs: list[int] | None = None if row["segs"] is None else []
        expires_at = 0
        for place in range(row["pos"], len(row["indices"])):
            index = row["indices"][place]
            entry = chunk.entry_of(index)
            cause = (
                CloseCause.CANCELLED
                if entry.task_id in gone
                else CloseCause.EXPIRED
                if entry.expires_at <= now_ms
                else None
            )
            if cause is None:
                indices.append(index)
                expires_at = max(expires_at, entry.expires_at)
                if segs is not None:
                    segs.append(row["segs"][place])
            elif not ended.get(cause) or ended[cause][-1] != index:
                ended.setdefault(cause, []).append(index)
        await queue.shrink(tx, row["id"], indices, segs, expires_at)
        events = []
        for cause, members in ended.items():
            metrics.CLOSED.labels(cause.value).inc(len(members))
            event = outcomes.closed(head, now_ms, members, cause)
            stage = f"swept-{cause.value}-{row['id']}-{row['version']}"
            events.append(outcomes.outcome(head, event, stage, 0, now_ms))
        return events
