"""The two ways to consume: offsets in Kafka for handlers without state, offsets in the effect's transaction for the
others.

Boundary: what happens to one batch, and where reading begins; fetching, priority and rebalancing are the consumer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from bus import metrics, offsets
from bus.deadletters import DeadLetterSink
from bus.handling import (
    DECLINED,
    AfterCommit,
    CallingHandler,
    Effect,
    OffsetMode,
    StatefulHandler,
    StatelessHandler,
)
from bus.intake import Partition
from bus.offsets import Move
from bus.producer import Producer, back_off
from bus.records import Batch, Busy, Invalid, TopicPartition
from servicekit.database import REPEATABLE, Database, DatabaseUnavailable

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Position:
    """Where a partition begins after an assignment."""

    stored: int
    """What is stored, and so what the next compare-and-set expects."""
    start: int
    """First record to read: as stored, or inside the log where the stored one is not."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Positions after a batch, and the partitions of the same rank whose stored offset may lag."""

    after: dict[TopicPartition, int]
    owners: dict[TopicPartition, Partition]
    peers: Sequence[Partition]


class Strategy(Protocol):
    """How effect and offset go together."""

    async def positions(self, kafka: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """Return where to begin; waits for database and broker."""
        ...

    async def apply(self, batch: Batch | None, invalid: Sequence[Invalid], ends: Ends) -> None:
        """Do the effect of a batch and move its offsets; raises `Busy`, `Fenced`, or what ends the process."""
        ...

    async def settle(self, partitions: Iterable[Partition]) -> None:
        """Store what is done and not stored yet."""
        ...


class InKafka:
    """For a handler without state: offsets are committed to Kafka a few times a second by the consumer."""

    def __init__(self, handler: StatelessHandler, sink: DeadLetterSink) -> None:
        self._handler = handler
        self._sink = sink

    async def positions(self, kafka: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """Return the committed offsets, else the beginning of the log."""
        first, last = await log_bounds(kafka, tps)
        found = {}
        for tp in tps:
            committed = await patiently(partial(kafka.committed, KafkaPartition(*tp)))
            start = first[tp] if committed is None else _inside(kafka, tp, committed, first[tp], last[tp])
            found[tp] = Position(start, start)
        return found

    async def apply(self, batch: Batch | None, invalid: Sequence[Invalid], ends: Ends) -> None:
        """Handle, bury what is invalid, then count the batch as done."""
        refused = [*invalid]
        if batch is not None:
            refused += await self._handler.handle(batch)
        await self._sink.bury(refused)
        for tp, end in ends.after.items():
            ends.owners[tp].done = end

    async def settle(self, partitions: Iterable[Partition]) -> None:
        """Nothing here: the consumer commits to Kafka."""
        for partition in partitions:
            partition.stored = partition.done


class InDatabase:
    """For a handler with a database: see `bus.handling.OffsetMode`."""

    def __init__(
        self,
        handler: StatefulHandler | CallingHandler,
        sink: DeadLetterSink,
        *,
        database: Database,
        producer: Producer,
        group: str,
        mode: OffsetMode,
    ) -> None:
        self._handler = handler
        self._sink = sink
        self._database = database
        self._producer = producer
        self._group = group
        self._mode = mode
        self._calls = isinstance(handler, CallingHandler)
        self._alone = asyncio.Lock()

    async def positions(self, kafka: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """Return the stored offsets; partitions seen for the first time begin at the start of the log."""
        first, last = await log_bounds(kafka, tps)
        stored = await self.reread(tps)
        if len(stored) < len(tps):
            fresh = {tp: first[tp] for tp in tps if tp not in stored}
            await self._insisting(lambda: offsets.begin(self._database, self._group, fresh))
            stored = await self.reread(tps)
        return {tp: Position(stored[tp], _inside(kafka, tp, stored[tp], first[tp], last[tp])) for tp in tps}

    async def apply(self, batch: Batch | None, invalid: Sequence[Invalid], ends: Ends) -> None:
        """Do effect and offset in one transaction, then publish and tell the handler."""
        moves, targets = self._moves(ends)
        async with AsyncExitStack() as turn:
            try:
                effect = await self._called(batch, invalid, moves)
                if effect is None:
                    if self._calls:
                        await turn.enter_async_context(self._alone)
                    effect = await self._transacted(batch, invalid, moves)
            except DatabaseUnavailable as error:
                # Also when the fate of the commit is unknown: the next compare-and-set will tell.
                raise Busy(f"database unavailable: {error}", 0.5) from error
            except REPEATABLE as error:
                raise Busy(f"conflict: {type(error).__name__}", 0.02) from error
            await self._finish(batch, effect, ends, targets)

    async def _finish(
        self, batch: Batch | None, effect: Effect, ends: Ends, targets: Iterable[tuple[Partition, int]]
    ) -> None:
        """Publish what a committed effect says, then tell the handler."""
        for partition, offset in targets:
            partition.stored = offset
        if effect.publish:
            await self._producer.send_batch(effect.publish)
        for tp, end in ends.after.items():
            ends.owners[tp].done = end
        if batch is not None and isinstance(self._handler, AfterCommit):
            await self._handler.committed(batch, effect)

    async def _called(self, batch: Batch | None, invalid: Sequence[Invalid], moves: Sequence[Move]) -> Effect | None:
        """Do the effect as one call where the handler has one for this batch; None where it has not."""
        if batch is None or not self._calls:
            return None
        assert isinstance(self._handler, CallingHandler), "looked at once, when it was made"
        call = await self._handler.call(batch)
        if call is None:
            return None
        refused = [*invalid, *call.invalid]
        first = len(call.args) + 1
        places = ", ".join(f"${number}" for number in range(first, first + 5))
        sql = f"select c.* from move_offsets({places}) m, {call.sql} c"  # noqa: S608 - a handler's own function and numbers
        try:
            args = [*call.args, *offsets.columns(self._group, moves)]
            if refused:
                async with self._database.transaction() as tx:
                    row = await tx.fetchrow(sql, *args)
                    await self._sink.bury(refused)  # before the commit, as in `_transacted`
            else:
                row = await self._database.fetchrow(sql, *args)
        except DatabaseUnavailable:
            call.lost()
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate == offsets.FENCED:
                raise offsets.Fenced(str(error)) from error
            if error.sqlstate == DECLINED:
                return None
            raise
        return self._checked(call.settle(row))

    async def _transacted(self, batch: Batch | None, invalid: Sequence[Invalid], moves: Sequence[Move]) -> Effect:
        effect = Effect()
        async with self._database.transaction() as tx:
            await offsets.move(tx, self._group, moves)
            if batch is not None:
                assert isinstance(self._handler, StatefulHandler), (
                    "a handler without `effect` has a call for every batch"
                )
                effect = self._checked(await self._handler.effect(tx, batch))
            # Before the commit: once the offset has passed it, nobody would bury the record any more.
            await self._sink.bury([*invalid, *effect.invalid])
        return effect

    def _checked(self, effect: Effect) -> Effect:
        if effect.publish and self._mode == "with_effect":
            raise TypeError("a handler with offsets='with_effect' publishes by an outbox, not by Effect.publish")
        return effect

    def _moves(self, ends: Ends) -> tuple[list[Move], list[tuple[Partition, int]]]:
        targets = []
        if self._mode == "with_effect":
            targets = [(ends.owners[tp], end) for tp, end in ends.after.items()]
        else:
            # The batch's own partitions move to what was published before it, and so are fenced; lagging peers ride
            # along.
            chosen = {id(p): p for p in ends.owners.values()}
            chosen.update((id(p), p) for p in ends.peers if p.stored != p.done)
            targets = [(p, p.done) for p in chosen.values()]
        return [Move(p.tp, p.stored, offset) for p, offset in targets], targets

    async def settle(self, partitions: Iterable[Partition]) -> None:
        """Store what was published since the last transaction; raises `Fenced` and `DatabaseUnavailable`."""
        lagging = [(p, p.done) for p in partitions if p.stored != p.done]
        if not lagging:
            return
        async with self._database.transaction() as tx:
            await offsets.move(tx, self._group, [Move(p.tp, p.stored, offset) for p, offset in lagging])
        for partition, offset in lagging:
            partition.stored = offset

    async def reread(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the stored offsets; waits for the database."""
        return await self._insisting(lambda: offsets.read(self._database, self._group, tps))

    async def _insisting(self, ask: Callable[[], Awaitable[T]]) -> T:
        attempt = 0
        while True:
            try:
                return await ask()
            except DatabaseUnavailable as error:
                attempt += 1
                log.warning("offsets_waiting", group=self._group, attempt=attempt, reason=str(error))
                await asyncio.sleep(back_off(attempt))


async def log_bounds(
    kafka: AIOKafkaConsumer, tps: Sequence[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return the first offset and the next offset of every partition's log."""
    partitions = [KafkaPartition(*tp) for tp in tps]
    first = await patiently(lambda: kafka.beginning_offsets(partitions))
    last = await patiently(lambda: kafka.end_offsets(partitions))
    return {TopicPartition(*tp): o for tp, o in first.items()}, {TopicPartition(*tp): o for tp, o in last.items()}


def _inside(kafka: AIOKafkaConsumer, tp: TopicPartition, offset: int, first: int, last: int) -> int:
    """Return ``offset``, or the log's beginning when it lies outside: the log was cut by retention, or the broker lost
    its disk.

    Kafka is transport: what is read twice is harmless, what is gone comes again by the sweeper.
    """
    if first <= offset <= last:
        return offset
    group = kafka._group_id  # noqa: SLF001 - aiokafka has no accessor for it
    metrics.OFFSET_RESETS.labels(group, tp.topic).inc()
    log.error("offset_outside_log", topic=tp.topic, partition=tp.partition, stored=offset, first=first, last=last)
    return first


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Return the broker's answer, asking again with back-off while the fault is one that passes."""
    attempt = 0
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if not error.retriable:
                raise
            attempt += 1
            log.warning("broker_waiting", attempt=attempt, reason=type(error).__name__)
            await asyncio.sleep(back_off(attempt))
