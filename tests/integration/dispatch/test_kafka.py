"""The whole way in and out over a real broker: `ChunkReleased` in, outcomes out, a redelivery changes nothing."""

from __future__ import annotations

import asyncio
import time

from bus import admin
from bus.consumer import Consumer
from bus.producer import Producer
from bus.replay import read_back
from contracts import envelope, ids, topics
from contracts.events import ChunkReleased, MessagesQueued, SegmentsAnswered, SegmentsReported
from dispatch.app import Worker
from dispatch.settings import DispatchSettings


async def test_released_on_the_bus_to_outcomes_on_the_bus(
    carrier, tools, dispatch_database, kafka_bootstrap, topic_prefix, tmp_path
):
    await admin.apply(kafka_bootstrap)
    begun = int(time.time() * 1000)
    producer = Producer(kafka_bootstrap, client_id="test")
    await producer.start()
    settings = DispatchSettings(
        state_dir=tmp_path, watchdog=False, quiet_hours="", kafka_bootstrap_servers=kafka_bootstrap
    )
    worker = Worker(settings, dispatch_database, producer, [tools.link_of(carrier)])
    # Topics of our own: the broker is shared with other tests.
    topic = f"{topic_prefix}released.notice"
    await _create(kafka_bootstrap, topic)
    consumer = Consumer(
        bootstrap_servers=kafka_bootstrap,
        group="dispatch",
        topics=[topic],
        handler=worker.intake,
        producer=producer,
        database=dispatch_database,
    )
    await worker.prepare()
    tasks = [
        asyncio.create_task(work())
        for work in (
            worker.pump.run,
            worker.pump.claimer.run,
            worker.publisher.run,
            worker.leases.run,
            worker.relay.run,
            consumer.run,
        )
    ]
    try:
        chunk = tools.make_chunk(100)
        data = ChunkReleased(
            release_id=ids.event_id(chunk.chunk_id, "released", 0), chunk=chunk, released_at=begun, reason="direct"
        )
        event = envelope.wrap(
            data,
            id=ids.event_id(chunk.chunk_id, "released"),
            key="default:acme",
            tenant="default",
            occurred_at=begun,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        await producer.send_batch([(topic, event), (topic, event)])
        await tools.until(lambda: carrier.receipts_answered == 100)
        await tools.until(lambda: _published(dispatch_database))
        seen = [e async for e in _outcomes(kafka_bootstrap, begun, chunk.chunk_id)]
        assert [e.data.indices for e in seen if isinstance(e.data, MessagesQueued)] == [None]
        for kind in (SegmentsAnswered, SegmentsReported):
            assert sorted(i for e in seen if isinstance(e.data, kind) for i in e.data.indices) == list(range(100))
        assert len({e.id for e in seen}) == len(seen)
        assert {e.key for e in seen} == {"default:acme"}
        assert all(e.traceparent.startswith("00-0af7651916cd43dd8448eb211c80319c") for e in seen)
        assert len(carrier.submits) == 100, "the second record of the same release did nothing"
    finally:
        await consumer.stop()
        await worker.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await worker.close()
        await producer.close()


async def _published(database) -> bool:
    return await database.fetchval("select count(*) from outbox") == 0


async def _outcomes(bootstrap: str, since_ms: int, chunk_id: str):
    topic = topics.lane_topic(topics.OUTCOMES, "notice")
    async for record in read_back(bootstrap, topic, range(topics.TOPICS[topic].partitions), since_ms):
        if chunk_id.encode() in (record.value or b""):  # the broker is shared: most is not ours
            yield envelope.decode(record.value or b"", record.header("type"))


async def _create(bootstrap: str, topic: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        await client.close()
