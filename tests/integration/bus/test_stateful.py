"""Offsets stored with the effect: crashes, zombies and rebalances lose nothing and do nothing twice."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from bus import deadletters, offsets
from bus.handling import Effect
from bus.intake import Limits
from bus.records import Busy, TopicPartition
from bus.replay import read_topic
from contracts.envelope import decode


async def test_effect_and_offset_are_one_transaction(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(100)])

    class CrashesLate(inserting):
        async def effect(self, tx, batch):
            await super().effect(tx, batch)
            if len(self.batches) == 3:
                raise ZeroDivisionError("after the effect, before the commit")
            return Effect()

    consumer = bench.consumer(CrashesLate(), [topic], limits=Limits(max_records=10))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bench.start(consumer), 30)
    assert await bench.effects() == 20
    bench.start(bench.consumer(inserting(), [topic]))
    await wait_until(lambda: _is(bench, 100))


async def test_two_processes_that_both_believe_they_own_everything(bench, make_event, wait_until, inserting):
    """Two members of different Kafka groups share one stored group: each gets every record, as a zombie and its heir would."""
    topic = bench.topic()
    await bench.topics(topic, partitions=3)
    consumers = []
    for name in ("a", "b"):
        consumer = bench.consumer(inserting(), [topic], group=f"{bench.service}.{name}", limits=Limits(max_records=7))
        consumer._strategy._group = "shared"
        consumers.append(consumer)
        bench.start(consumer)
    for round_ in range(10):
        await bench.producer.send_batch([make_event(topic, n) for n in range(round_ * 100, round_ * 100 + 100)])
    # The effect inserts without "on conflict": any double effect would be a unique violation and end the consumer.
    await wait_until(lambda: _is(bench, 1_000))
    assert not any(task.done() for _, task in bench.running)
    stored = await offsets.read(bench.database, "shared", [TopicPartition(topic, p) for p in range(3)])
    assert sum(stored.values()) == 1_000


async def test_a_zombie_is_fenced_and_reads_where_its_heir_is(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    tp = TopicPartition(topic, 0)
    handler = inserting()
    consumer = bench.consumer(handler, [topic])
    bench.start(consumer)
    await bench.producer.send_batch([make_event(topic, n) for n in range(10)])
    await wait_until(lambda: _is(bench, 10))
    # An heir did records 10..14 while this process was stopped.
    async with bench.database.transaction() as tx:
        await offsets.move(tx, bench.group, [offsets.Move(tp, 10, 15)])
    await bench.producer.send_batch([make_event(topic, n) for n in range(10, 20)])
    await wait_until(lambda: _is(bench, 15))
    ids = {r["event_id"] for r in await bench.database.fetch("select event_id from effect")}
    assert ids == {make_event(topic, n)[1].id for n in (*range(10), *range(15, 20))}
    assert await offsets.read(bench.database, bench.group, [tp]) == {tp: 20}


@pytest.mark.parametrize("mode", ["with_effect", "after_publish"])
async def test_rebalances_under_load_lose_and_repeat_nothing(bench, make_event, wait_until, inserting, mode):
    topics, out = [bench.topic("notice"), bench.topic("marketing")], bench.topic("internal")
    await bench.topics(*topics, out, partitions=4)

    def member():
        handler = inserting(out if mode == "after_publish" else "")
        consumer = bench.consumer(handler, topics, offsets=mode, limits=Limits(max_records=9))
        return consumer, bench.start(consumer)

    first, first_task = member()
    sent = 0

    async def send(count):
        nonlocal sent
        await bench.producer.send_batch([make_event(topics[n % 2], n) for n in range(sent, sent + count)])
        sent += count

    await send(500)
    second, second_task = member()
    for _ in range(10):
        await send(100)
    await wait_until(lambda: second._gate.is_set() and second._intake.partitions)
    third, third_task = member()
    await send(500)
    await first.stop()
    await first_task
    await send(500)
    await second.stop()
    await second_task
    await send(200)
    await wait_until(lambda: _is(bench, sent))
    if mode == "after_publish":

        async def published():
            return {decode(r.value).id async for r in read_topic(bench.bootstrap, out)}

        wanted = {make_event(topics[0], n)[1].id for n in range(sent)}
        await wait_until(lambda: _same(published, wanted))
    await third.stop()
    await third_task
    stored = await offsets.read(bench.database, bench.group, [TopicPartition(t, p) for t in topics for p in range(4)])
    assert sum(stored.values()) == sent


async def test_what_was_not_published_comes_again(bench, make_event, wait_until, inserting):
    topic, out = bench.topic(), bench.topic("internal")
    await bench.topics(topic, out, partitions=1)
    tp = TopicPartition(topic, 0)
    await bench.producer.send_batch([make_event(topic, n) for n in range(10)])

    class Dies(inserting):
        async def effect(self, tx, batch):
            await super().effect(tx, batch)
            # Not an event at all: publishing it fails after the commit, as a crash there would.
            return Effect(publish=[(out, object())])

    with pytest.raises(AttributeError):
        await asyncio.wait_for(bench.start(bench.consumer(Dies(out), [topic], offsets="after_publish")), 30)
    assert await bench.effects() == 10
    assert await offsets.read(bench.database, bench.group, [tp]) == {tp: 0}
    bench.start(bench.consumer(inserting(out), [topic], offsets="after_publish"))

    async def stored():
        return await offsets.read(bench.database, bench.group, [tp]) == {tp: 10}

    await wait_until(stored)
    assert len([r async for r in read_topic(bench.bootstrap, out)]) == 10
    assert await bench.effects() == 10


async def test_a_lost_database_is_back_pressure_not_a_crash(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic)
    handler = inserting()
    bench.start(bench.consumer(handler, [topic], limits=Limits(max_records=5)))
    await bench.producer.send_batch([make_event(topic, n) for n in range(20)])
    await wait_until(lambda: _is(bench, 20))
    admin = await asyncpg.connect(bench.url)
    for round_ in range(3):
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test' and datname = current_database()"
        )
        await bench.producer.send_batch([make_event(topic, n) for n in range(20 + round_ * 20, 40 + round_ * 20)])
    await admin.close()
    await wait_until(lambda: _is(bench, 80))
    assert not any(task.done() for _, task in bench.running)


async def test_busy_rolls_back_and_invalid_passes_with_the_offset(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    tries = 0

    class Moody(inserting):
        async def effect(self, tx, batch):
            nonlocal tries
            tries += 1
            await super().effect(tx, batch)
            if tries < 4:
                raise Busy("not now", 0.01)
            return Effect()

    bench.start(bench.consumer(Moody(), [topic]))
    await bench.producer.send_batch([make_event(topic, n) for n in range(5)])
    await bench.producer.send_raw([_rubbish(topic)])
    await bench.producer.send_batch([make_event(topic, n) for n in range(5, 10)])
    await wait_until(lambda: _is(bench, 10))
    tp = TopicPartition(topic, 0)

    async def past_all():
        return await offsets.read(bench.database, bench.group, [tp]) == {tp: 11}

    await wait_until(past_all)
    letters = await deadletters.list_letters(bench.bootstrap, bench.service)
    assert [(x.code, x.record.offset) for x in letters] == [("malformed", 5)]


async def test_a_handler_with_effect_offsets_may_not_publish_behind_the_commit(bench, make_event, inserting):
    topic, out = bench.topic(), bench.topic("internal")
    await bench.topics(topic, out)
    await bench.producer.send_batch([make_event(topic, 1)])
    with pytest.raises(TypeError, match="outbox"):
        await asyncio.wait_for(bench.start(bench.consumer(inserting(out), [topic])), 30)
    assert await bench.effects() == 0


async def test_state_is_rebuilt_before_the_first_record(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(10)])
    story = []

    class Telling(inserting):
        async def effect(self, tx, batch):
            story.append("record")
            return await super().effect(tx, batch)

    async def assigned(tps):
        assert len(tps) == 2
        await asyncio.sleep(0)
        story.append("assigned")

    async def revoked(tps):
        story.append(f"revoked {len(tps)}")

    consumer = bench.consumer(Telling(), [topic], on_assigned=assigned, on_revoked=revoked)
    bench.start(consumer)
    await wait_until(lambda: _is(bench, 10))
    assert story[0] == "assigned"
    other = bench.consumer(inserting(), [topic])
    bench.start(other)
    await wait_until(lambda: other._gate.is_set() and other._intake.partitions)
    assert "revoked 2" in story


async def test_an_offset_outside_the_log_begins_again_and_says_so(bench, make_event, wait_until, inserting):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    tp = TopicPartition(topic, 0)
    await offsets.begin(bench.database, bench.group, {tp: 5_000})
    await bench.producer.send_batch([make_event(topic, n) for n in range(10)])
    bench.start(bench.consumer(inserting(), [topic]))
    await wait_until(lambda: _is(bench, 10))
    assert await offsets.read(bench.database, bench.group, [tp]) == {tp: 10}


async def test_at_idle_a_stored_offset_that_another_process_moved_is_read_again(
    bench, make_event, wait_until, inserting
):
    topic, out = bench.topic(), bench.topic("internal")
    await bench.topics(topic, out, partitions=1)
    tp = TopicPartition(topic, 0)
    acknowledged = asyncio.Event()

    class Overtaken(inserting):
        async def committed(self, batch, effect):
            # Published, not stored yet: the offset follows at idle, and here somebody else was quicker.
            async with bench.database.transaction() as tx:
                await offsets.move(tx, bench.group, [offsets.Move(tp, 0, 7)])
            acknowledged.set()

    consumer = bench.consumer(Overtaken(out), [topic], offsets="after_publish")
    bench.start(consumer)
    await wait_until(consumer._gate.is_set)
    await bench.producer.send_batch([make_event(topic, n) for n in range(5)])
    await asyncio.wait_for(acknowledged.wait(), 20)
    await wait_until(lambda: consumer._intake.partitions[tp].stored == 7)
    assert await offsets.read(bench.database, bench.group, [tp]) == {tp: 7}


async def test_a_hook_that_fails_ends_the_process_although_aiokafka_swallows_it(
    bench, make_event, wait_until, inserting
):
    topic = bench.topic()
    await bench.topics(topic)

    async def revoked(tps):
        raise ZeroDivisionError

    consumer = bench.consumer(inserting(), [topic], on_revoked=revoked)
    task = bench.start(consumer)
    await wait_until(consumer._gate.is_set)
    bench.start(bench.consumer(inserting(), [topic]))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(task, 30)


async def test_the_probe_says_what_is_wrong(bench, make_event, wait_until, inserting, monkeypatch):
    topic = bench.topic()
    await bench.topics(topic)
    mood = "busy"
    release = asyncio.Event()

    class Moody(inserting):
        async def effect(self, tx, batch):
            if mood == "busy":
                raise Busy("the disk is nearly full", 0.01)
            await release.wait()
            return Effect()

    consumer = bench.consumer(Moody(), [topic])
    assert "no assignment" in await consumer.probe()
    bench.start(consumer)
    await wait_until(consumer._gate.is_set)
    assert await consumer.probe() is None
    await bench.producer.send_batch([make_event(topic, 1)])
    monkeypatch.setattr("bus.consumer.SILENT_S", -1.0)

    async def says(words):
        return words in (await consumer.probe() or "")

    await wait_until(lambda: says("the disk is nearly full"))
    monkeypatch.setattr("bus.consumer.STUCK_S", -1.0)
    mood = "stuck"
    await wait_until(lambda: says("in hand"))
    release.set()


async def _is(bench, count):
    return await bench.effects() == count


async def _same(ask, wanted):
    return await ask() == wanted


def _rubbish(topic):
    from bus.producer import RawOutgoing

    return RawOutgoing(topic, b"k", b"rubbish", ())
