"""The row is the outbox: what the fast path misses the relay publishes, once at a time over all processes."""

from __future__ import annotations

import asyncio

import pytest_asyncio

from bus.outbox import FastPath, Relay, Sweeper
from bus.producer import Producer
from bus.replay import read_topic
from contracts.envelope import decode


class Chunks:
    def __init__(self, topic, make_event):
        self.topic = topic
        self.make_event = make_event
        self.asked = 0

    async def pending(self, connection, older_than_s, limit):
        self.asked += 1
        return await connection.fetch(
            "select chunk_id from chunk where published_at is null and created_at <= now() - make_interval(secs => $1) "
            "order by created_at limit $2",
            older_than_s,
            limit,
        )

    def events(self, row):
        return [self.make_event(self.topic, int(row["chunk_id"]))]

    async def mark(self, connection, rows):
        await connection.execute(
            "update chunk set published_at = now() where chunk_id = any($1)", [r["chunk_id"] for r in rows]
        )


@pytest_asyncio.fixture
async def source(bench, make_event):
    topic = bench.topic()
    await bench.topics(topic)
    return Chunks(topic, make_event)


async def insert(bench, numbers):
    # Repeated where the connection at hand turns out to be one that a test has ended.
    await bench.database.run(
        lambda tx: tx.execute("insert into chunk (chunk_id) select unnest($1::text[])", [str(n) for n in numbers])
    )


async def unpublished(bench):
    return await bench.database.fetchval("select count(*) from chunk where published_at is null")


async def published(bench, source):
    return sorted([decode(r.value).data.at async for r in read_topic(bench.bootstrap, source.topic)])


async def test_the_relay_publishes_what_was_left(bench, source, wait_until):
    await insert(bench, range(120))
    relay = Relay("chunk", bench.database, bench.producer, source, older_than_s=0, interval_s=0.05)
    task = asyncio.create_task(relay.run())

    async def done():
        return await unpublished(bench) == 0

    await wait_until(done)
    await relay.stop()
    await task
    assert await published(bench, source) == list(range(120))


async def test_the_relay_leaves_young_rows_to_the_fast_path(bench, source):
    await insert(bench, range(5))
    relay = Relay("chunk", bench.database, bench.producer, source, older_than_s=60)
    assert await relay.once() == 0
    await bench.database.execute("update chunk set created_at = now() - interval '61 s'")
    assert await relay.once() == 5


async def test_only_the_holder_of_the_lock_relays(bench, source, wait_until):
    relay = Relay("chunk", bench.database, bench.producer, source, older_than_s=0, interval_s=0.02)
    guard = await bench.database.dedicated()
    await guard.execute("select pg_advisory_lock($1)", relay._lock_key)
    task = asyncio.create_task(relay.run())
    waiting = Relay("other", bench.database, bench.producer, Chunks(source.topic, source.make_event), interval_s=0.02)
    other = asyncio.create_task(waiting.run())
    await wait_until(lambda: waiting._source.asked > 5)
    assert source.asked == 0
    await insert(bench, range(3))
    # A holder that dies takes its lock with it.
    await guard.close()

    async def done():
        return await unpublished(bench) == 0

    await wait_until(done)
    for component, running in ((relay, task), (waiting, other)):
        await component.stop()
        await running


async def test_the_relay_survives_the_loss_of_its_connection(bench, source, wait_until):
    relay = Relay("chunk", bench.database, bench.producer, source, older_than_s=0, interval_s=0.02)
    task = asyncio.create_task(relay.run())
    await wait_until(lambda: source.asked > 2)
    guard = await bench.database.dedicated()
    await guard.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
        "and application_name = 'test' and datname = current_database()"
    )
    await guard.close()
    await insert(bench, range(3))

    async def done():
        return await unpublished(bench) == 0

    await wait_until(done)
    await relay.stop()
    await task


async def test_the_fast_path_publishes_at_once_and_marks_together(bench, source, wait_until):
    fast = FastPath(bench.database, bench.producer, source)
    task = asyncio.create_task(fast.run())
    await insert(bench, range(50))
    for n in range(50):
        fast.offer([{"chunk_id": str(n)}])
    await fast.stop()
    await task
    assert await unpublished(bench) == 0
    assert await published(bench, source) == list(range(50))


async def test_what_a_crash_leaves_in_the_fast_path_is_relayed(bench, source):
    fast = FastPath(bench.database, bench.producer, source)
    await insert(bench, range(5))
    fast.offer([{"chunk_id": str(n)} for n in range(5)])
    # It never ran: the process died.
    relay = Relay("chunk", bench.database, bench.producer, source, older_than_s=0)
    assert await relay.once() == 5
    assert await published(bench, source) == list(range(5))


async def test_a_sweeper_publishes_again_under_the_same_id(bench, source):
    await insert(bench, range(2))
    await Relay("chunk", bench.database, bench.producer, source, older_than_s=0).once()
    await bench.database.execute("update chunk set published_at = null")
    assert await Sweeper("sweep", bench.database, bench.producer, source, older_than_s=0).once() == 2
    ids = [decode(r.value).id async for r in read_topic(bench.bootstrap, source.topic)]
    assert len(ids) == 4
    assert len(set(ids)) == 2


async def test_the_fast_path_is_bounded(bench, source):
    fast = FastPath(bench.database, Producer("127.0.0.1:1", client_id="never"), source)
    fast.offer([{"chunk_id": str(n)} for n in range(20_000)])
    fast.offer([{"chunk_id": "1"}])
    assert len(fast._waiting) == 5_000
