"""The row itself is the outbox: `published_at is null` until the broker has acknowledged its events.

The writer publishes right after its commit (`FastPath`); what a crash or an outage leaves is taken by one `Relay` over
all processes, held by an advisory lock.  A `Sweeper` publishes again, under the same ids, what has shown no further
stage for minutes. Never "id greater than the last": sequences are not commit-ordered, and a late commit would be
skipped.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import asyncpg
import structlog

from bus import metrics
from bus.producer import Outgoing, Producer, back_off
from servicekit.database import Connection, Database, DatabaseUnavailable

Row = TypeVar("Row")
R = TypeVar("R")

MARK_INTERVAL_S = 0.02
"""Marks of published rows are gathered for so long: one statement for all."""

FAST_PATH_ROWS = 5_000
"""Rows waiting in memory for the fast path; above, they are left to the relay."""

IN_FLIGHT = 16

GUARD_TIMEOUT_S = 20.0
"""A database that does not answer the relay's question for the lock for so long is out of reach."""

log = structlog.get_logger()


class RelaySource(Protocol[R]):
    """One outbox table as the relay sees it."""

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> Sequence[R]:
        """Return unpublished rows older than that, oldest first."""
        ...

    def events(self, row: R) -> Sequence[Outgoing]:
        """Return the row's events; the same ones each time it is asked."""
        ...

    async def mark(self, connection: Connection, rows: Sequence[R]) -> None:
        """Note that the rows are published (for a sweeper: when they were swept)."""
        ...


class Relay(Generic[Row]):
    """Publishes rows that were left unpublished; a lifecycle component that works in one process at a time."""

    def __init__(
        self,
        name: str,
        database: Database,
        producer: Producer,
        source: RelaySource[Row],
        *,
        older_than_s: float = 2.0,
        interval_s: float = 1.0,
        batch: int = 50,
    ) -> None:
        """``name`` is unique in the database and names the lock; ``older_than_s`` leaves the fast path its time."""
        self.name = name
        self._database = database
        self._producer = producer
        self._source = source
        self._older_than_s = older_than_s
        self._interval_s = interval_s
        self._batch = batch
        self._stopping = asyncio.Event()
        self._lock_key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)

    async def run(self) -> None:
        """Relay until `stop`; an outage of the database is waited out."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await self._session()
                attempt = 0
            except DatabaseUnavailable as error:
                attempt += 1
                log.warning("relay_waiting", relay=self.name, attempt=attempt, reason=str(error))
                await self._pause(back_off(attempt))
            finally:
                metrics.RELAY_LEADER.labels(self.name).set(0)

    async def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    async def once(self) -> int:
        """Publish what is pending now, whoever holds the lock, and return the number of rows; for tools and tests."""
        total = 0
        while rows := await self._round():
            total += rows
            if rows < self._batch:
                break
        return total

    async def _session(self) -> None:
        """Hold one connection; take the lock when it is free, and work as long as the connection lives."""
        guard = await self._database.dedicated()
        try:
            while not self._stopping.is_set():
                # Asked anew each round: it is also the proof that the session, and with it the lock, still lives.
                if await guard.fetchval("select pg_try_advisory_lock($1)", self._lock_key, timeout=GUARD_TIMEOUT_S):
                    metrics.RELAY_LEADER.labels(self.name).set(1)
                    more = await self._round() == self._batch
                    await guard.fetchval("select pg_advisory_unlock($1)", self._lock_key, timeout=GUARD_TIMEOUT_S)
                    if more:
                        continue
                else:
                    metrics.RELAY_LEADER.labels(self.name).set(0)
                await self._pause(self._interval_s)
        except (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.OperatorInterventionError,
            OSError,
        ) as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        finally:
            guard.terminate()

    async def _round(self) -> int:
        async with self._database.connection() as connection:
            rows = await self._source.pending(connection, self._older_than_s, self._batch)
        if not rows:
            return 0
        await self._producer.send_batch([event for row in rows for event in self._source.events(row)])
        await self._database.run(lambda tx: self._source.mark(tx, rows))
        metrics.RELAYED.labels(self.name).inc(len(rows))
        log.info("relayed", relay=self.name, rows=len(rows))
        return len(rows)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


class Sweeper(Relay[Row]):
    """A relay for what was published and has shown no further stage: slow, and its `mark` notes when it was swept."""

    def __init__(
        self,
        name: str,
        database: Database,
        producer: Producer,
        source: RelaySource[Row],
        *,
        older_than_s: float = 180.0,
        interval_s: float = 15.0,
        batch: int = 50,
    ) -> None:
        super().__init__(
            name, database, producer, source, older_than_s=older_than_s, interval_s=interval_s, batch=batch
        )


class FastPath(Generic[Row]):
    """Publishes rows right after the writer's commit; a lifecycle component.  What it cannot take, the relay does."""

    def __init__(self, database: Database, producer: Producer, source: RelaySource[Row]) -> None:
        self._database = database
        self._producer = producer
        self._source = source
        self._waiting: deque[Row] = deque()
        self._published: list[Row] = []
        self._wake = asyncio.Event()
        self._to_mark = asyncio.Event()
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    def offer(self, rows: Sequence[Row]) -> None:
        """Publish durable rows soon; never blocks and never fails."""
        room = FAST_PATH_ROWS - len(self._waiting)
        self._waiting.extend(rows[: max(0, room)])
        self._wake.set()

    async def publish(self, rows: Sequence[Row]) -> None:
        """Publish durable rows and return when the broker has acknowledged them; raises `PublishFailed`."""
        await self._producer.send_batch([event for row in rows for event in self._source.events(row)])
        self._published.extend(rows)
        self._to_mark.set()

    async def run(self) -> None:
        """Publish and mark until `stop`, then finish what is in hand."""
        marking = asyncio.create_task(self._mark())
        try:
            async with asyncio.TaskGroup() as group:
                while not (self._stopping.is_set() and not self._waiting):
                    await self._wake.wait()
                    self._wake.clear()
                    if self._waiting:
                        rows = list(self._waiting)
                        self._waiting.clear()
                        await self._slots.acquire()
                        group.create_task(self._publish_one(rows))
        finally:
            marking.cancel()
            with suppress(asyncio.CancelledError):
                await marking
            await self._mark_now()
            self._finished.set()

    async def stop(self) -> None:
        """Publish what waits, mark it, return."""
        self._stopping.set()
        self._wake.set()
        await self._finished.wait()

    async def _publish_one(self, rows: Sequence[Row]) -> None:
        try:
            await self.publish(rows)
        finally:
            self._slots.release()

    async def _mark(self) -> None:
        while True:
            await self._to_mark.wait()
            await asyncio.sleep(MARK_INTERVAL_S)
            self._to_mark.clear()
            await self._mark_now()

    async def _mark_now(self) -> None:
        rows, self._published = self._published, []
        if not rows:
            return
        try:
            await self._database.run(lambda tx: self._source.mark(tx, rows), patience_s=5)
        except DatabaseUnavailable as error:
            # They stay unmarked, and the relay publishes them once more under the same ids.
            log.warning("marks_left_behind", rows=len(rows), reason=str(error))
