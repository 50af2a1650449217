"""Effects that are one call in SQL: the offset moves with them or neither happens."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from bus import deadletters, offsets
from bus.handling import Call, Effect
from bus.intake import Limits
from bus.producer import RawOutgoing
from bus.records import Batch, Invalid, TopicPartition


class Calling:
    """Inserts each event by a call without "on conflict": a second effect of one event is a unique violation, and so a crash."""

    def __init__(self, most: int = 1_000) -> None:
        self.most = most
        self.settled: list[int] = []
        self.lost = 0

    async def call(self, batch: Batch) -> Call:
        args = [[r.envelope.id for r in batch], [r.topic for r in batch], [r.partition for r in batch], self.most]
        return Call("put($1, $2, $3, $4)", args, self._settle, lost=self._lose)

    def _settle(self, row: asyncpg.Record) -> Effect:
        self.settled.append(row["n"])
        return Effect()

    def _lose(self) -> None:
        self.lost += 1


class Falling(Calling):
    """Has an effect beside the call, for what the call declines."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.effects: list[int] = []

    async def effect(self, tx, batch: Batch) -> Effect:
        self.effects.append(len(batch))
        await tx.executemany(
            "insert into effect (event_id, topic, part) values ($1, $2, $3)",
            [(r.envelope.id, r.topic, r.partition) for r in batch],
        )
        return Effect()


def _is(bench, count):
    async def check():
        return await bench.effects() == count

    return check


async def _stored(bench, topic, partitions, group=""):
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    return sum((await offsets.read(bench.database, group or bench.group, tps)).values())


async def test_effect_and_offset_are_one_statement(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    handler = Calling()
    bench.start(bench.consumer(handler, [topic], limits=Limits(max_records=10)))
    await bench.producer.send_batch([make_event(topic, n) for n in range(100)])
    await wait_until(_is(bench, 100))
    await wait_until(lambda: sum(handler.settled) == 100)
    assert await _stored(bench, topic, 2) == 100


async def test_two_processes_that_both_believe_they_own_everything(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=3)
    for name in ("a", "b"):
        consumer = bench.consumer(Calling(), [topic], group=f"{bench.service}.{name}", limits=Limits(max_records=7))
        consumer._strategy._group = "shared"
        bench.start(consumer)
    for round_ in range(10):
        await bench.producer.send_batch([make_event(topic, n) for n in range(round_ * 100, round_ * 100 + 100)])
    await wait_until(_is(bench, 1_000))
    assert not any(task.done() for _, task in bench.running)
    assert await _stored(bench, topic, 3, "shared") == 1_000


async def test_what_the_call_declines_is_done_by_the_effect(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    handler = Falling(3)
    await bench.producer.send_batch([make_event(topic, n) for n in range(12)])
    bench.start(bench.consumer(handler, [topic], limits=Limits(max_records=10)))
    await wait_until(_is(bench, 12))
    assert handler.effects == [10]
    assert handler.settled == [2]
    await wait_until(lambda: not handler.lost)
    assert await _stored(bench, topic, 1) == 12


@pytest.mark.parametrize("make", [Calling, lambda: Falling(1_000)])
async def test_what_nobody_understands_is_buried_once(bench, make_event, wait_until, make):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    handler = make()
    inner = handler.call

    async def call(batch):
        made = await inner(batch)
        return Call(made.sql, made.args, made.settle, [Invalid(next(iter(batch)), "odd", "for the test")], made.lost)

    handler.call = call
    await bench.producer.send_batch([make_event(topic, 1)])
    await bench.producer.send_raw([RawOutgoing(topic, b"k", b"{", (("type", b"ChunkAccepted"),))])
    bench.start(bench.consumer(handler, [topic]))
    await wait_until(_is(bench, 1))

    async def past():
        return await _stored(bench, topic, 1) == 2

    await wait_until(past)
    letters = await deadletters.list_letters(bench.bootstrap, bench.service)
    assert sorted(x.code for x in letters) == ["malformed", "odd"]


async def test_a_call_whose_fate_is_unknown_is_said_to_be_lost_and_comes_again(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    handler = Calling()
    admin = await asyncpg.connect(bench.url)
    await admin.execute("set search_path = svc; begin; lock table effect in access exclusive mode")
    bench.start(bench.consumer(handler, [topic]))
    await bench.producer.send_batch([make_event(topic, n) for n in range(5)])

    async def waits():
        return await admin.fetchval("select count(*) from pg_locks where not granted and relation = 'effect'::regclass")

    await wait_until(waits)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test' and datname = current_database()"
    )
    await admin.execute("rollback")
    await admin.close()
    await wait_until(_is(bench, 5))
    await asyncio.sleep(0)
    assert handler.lost >= 1
    assert handler.settled == [5]
