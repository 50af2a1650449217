"""What time does to the tables: days' partitions made ahead and dropped when over, old keys removed, figures for the metrics."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import structlog

from ingest import metrics
from ingest.store import housekeeping, reads, webhooks
from servicekit.clock import Clock
from servicekit.database import Database, DatabaseUnavailable

DAYS_AHEAD = 3
EVERY_S = 600.0
FIGURES_EVERY_S = 5.0
SEAL_LOCK = 0x696E67657374  # "ingest"

log = structlog.get_logger()


class Housekeeper:
    """A lifecycle component; harmless in several processes at once."""

    def __init__(self, database: Database, clock: Clock, *, idempotency_days: int, keep_days: int) -> None:
        self._database = database
        self._clock = clock
        self._idempotency_days = idempotency_days
        self._keep_days = keep_days
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until stopped."""
        due = 0.0
        while not self._stopping.is_set():
            now = self._clock.monotonic()
            try:
                await self._figures()
                if now >= due:
                    await self.once()
                    due = now + EVERY_S
            except DatabaseUnavailable as error:
                log.warning("housekeeping_waits", reason=str(error))
            try:
                async with asyncio.timeout(FIGURES_EVERY_S):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Stop working."""
        self._stopping.set()

    async def once(self) -> None:
        """Do all of it now."""
        today = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC).date()
        for ahead in range(DAYS_AHEAD + 1):
            day = today + timedelta(days=ahead)
            try:
                async with self._database.transaction() as connection:
                    if await housekeeping.ensure_day(connection, day):
                        log.info("partitions_made", day=day.isoformat())
            except (asyncpg.LockNotAvailableError, asyncpg.CheckViolationError, asyncpg.DuplicateTableError) as error:
                # Another process makes it, or the default partition holds rows of the day, which then stay there.
                log.warning("partitions_not_made", day=day.isoformat(), reason=type(error).__name__)
        await self._seal(today - timedelta(days=1))
        async with self._database.connection() as connection:
            dropped = await housekeeping.drop_before(connection, today - timedelta(days=self._keep_days))
            if dropped:
                log.info("partitions_dropped", tables=dropped)
            await housekeeping.prune_idempotency(connection, self._idempotency_days)
            await webhooks.prune(connection, self._idempotency_days + 4)

    async def _seal(self, day: date) -> None:
        """Index the days before ``day``; an hour past midnight late messages of the day before may still be committed."""
        async with self._database.connection() as connection:
            names = await housekeeping.unsealed_before(connection, day)
        if not names:
            return
        own = await self._database.dedicated()
        try:
            # One process at a time; the lock goes with the connection.
            if await own.fetchval("select pg_try_advisory_lock($1)", SEAL_LOCK):
                for name in names:
                    await housekeeping.seal(own, name)
                    log.info("partition_sealed", table=name)
        finally:
            await own.close()

    async def _figures(self) -> None:
        async with self._database.connection() as connection:
            unpublished, waiting = await reads.outbox_figures(connection)
            metrics.UNPUBLISHED.set(unpublished)
            metrics.WAITING.set(waiting)
            metrics.WEBHOOKS_DUE.set(await webhooks.waiting(connection))
