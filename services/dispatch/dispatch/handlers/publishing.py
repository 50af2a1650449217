"""Publishing what was committed: the fast path right after the commit; whatever a crash leaves, the relay sends.

Events of one lane go in order, one batch after the other; verification's never wait for bulk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import structlog

from bus.producer import Outgoing as BusOutgoing
from bus.producer import Producer, RawOutgoing
from contracts import envelope
from contracts.lanes import Lane
from dispatch.domain.merging import merged
from dispatch.domain.outcomes import Outgoing
from servicekit.database import Connection

log = structlog.get_logger()

MOST_WAITING = 4_000
"""Events waiting in memory; beyond, they are left to the relay, for the table has them."""

BATCH = 500

GATHER_S = 0.1
"""Events of other classes than codes wait so long for others of their chunk, to go as one (`domain.merging`)."""

GATHER_CODES_S = 0.05
"""Those of codes wait so long: they are sent already, and each request costs the broker and three readers."""

STOP_S = 2.0
"""A worker that goes away gets so long to say what it has committed."""


class Publisher:
    """Sends events and collects the outbox ids that are done."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._queues = {True: deque[Outgoing](), False: deque[Outgoing]()}
        self._wake = {True: asyncio.Event(), False: asyncio.Event()}
        self._done: list[int] = []
        self._stopping = False
        self._ended = asyncio.Event()

    def offer(self, events: list[Outgoing]) -> None:
        """Publish these soon; they are committed."""
        for event in events:
            express = event.topic.endswith(Lane.VERIFICATION.value)
            if len(self._queues[express]) < MOST_WAITING:
                self._queues[express].append(event)
                self._wake[express].set()

    def take_done(self) -> list[int]:
        """Return outbox ids the bus has acknowledged since the last call: their rows may go."""
        done, self._done = self._done, []
        return done

    @property
    def has_done(self) -> bool:
        """Whether `take_done` has something."""
        return bool(self._done)

    async def run(self) -> None:
        """Publish until `stop` was called and nothing waits."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lane(express=True))
            group.create_task(self._lane(express=False))
        self._ended.set()

    async def stop(self) -> None:
        """Let `run` end when nothing waits, and wait for that a little: what stays is another worker's relay's to send."""
        self._stopping = True
        for event in self._wake.values():
            event.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._ended.wait()

    async def _lane(self, *, express: bool) -> None:
        queue, wake = self._queues[express], self._wake[express]
        while queue or not self._stopping:
            if not queue:
                wake.clear()
                await wake.wait()
                continue
            if not self._stopping and len(queue) < BATCH:
                await asyncio.sleep(GATHER_CODES_S if express else GATHER_S)
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            await self._producer.send_raw([raw_of(event) for event in merged(batch)])
            self._done += [event.id for event in batch]


def raw_of(event: Outgoing) -> RawOutgoing:
    """Return the record of an event that is encoded already."""
    headers = [("type", event.type.encode())]
    if event.trace:
        headers.append(("traceparent", event.trace.encode()))
    return RawOutgoing(event.topic, event.key.encode(), event.payload, tuple(headers))


class OutboxRows:
    """The outbox as the relay wants it (`bus.outbox.RelaySource`)."""

    async def pending(self, connection: Connection, older_than_s: float, limit: int) -> list[Outgoing]:
        """Return events that should long have been published, oldest first."""
        rows = await connection.fetch(
            "select id, topic, key, type, trace, payload from outbox"
            " where at < (extract(epoch from clock_timestamp()) * 1000)::int8 - $1 order by id limit $2",
            int(older_than_s * 1000),
            limit,
        )
        return [Outgoing(r["id"], r["topic"], r["key"], r["type"], r["trace"], r["payload"]) for r in rows]

    def events(self, row: Outgoing) -> list[BusOutgoing]:
        """Return the event of a row."""
        return [(row.topic, envelope.decode(row.payload, row.type))]

    async def mark(self, connection: Connection, rows: Sequence[Outgoing]) -> None:
        """Forget acknowledged rows."""
        await connection.execute("delete from outbox where id = any($1)", [row.id for row in rows])
