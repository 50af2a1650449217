"""A batch is acknowledged whole, or the caller hears of it."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from bus.admin import apply, list_topics
from bus.producer import MAX_RECORD_OCTETS, Producer, PublishFailed, RawOutgoing
from bus.replay import Follower, read_back, read_topic
from contracts.envelope import decode
from contracts.topics import TOPICS, Topic
from servicekit.telemetry import span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_headers_carry_type_and_trace(bench, make_event):
    topic = bench.topic("verification")
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, 1, traceparent=PARENT)])
    with span("a request", PARENT):
        await bench.producer.send_batch([make_event(topic, 2)])
    await bench.producer.send_batch([make_event(topic, 3)])
    records = {decode(r.value).data.at: r async for r in read_topic(bench.bootstrap, topic)}
    assert records[1].header("type") == "TaskCancelled"
    assert records[1].header("traceparent") == PARENT
    assert records[2].header("traceparent").split("-")[1] == PARENT.split("-")[1]
    assert records[3].header("traceparent") == ""


async def test_equal_keys_meet_in_equal_partitions_of_every_lane(bench, make_event):
    lanes = [bench.topic(lane) for lane in ("verification", "notice", "internal", "marketing")]
    await bench.topics(*lanes, partitions=5)
    await bench.producer.send_batch([make_event(lane, n, key=f"t:{n}") for lane in lanes for n in range(40)])
    places = {lane: {r.key: r.partition async for r in read_topic(bench.bootstrap, lane)} for lane in lanes}
    assert len({tuple(sorted(place.items())) for place in places.values()}) == 1
    assert len(set(places[lanes[0]].values())) == 5


async def test_what_the_broker_refuses_for_good_is_raised_and_the_rest_arrives(bench, make_event):
    topic = bench.topic()
    await bench.topics(topic)
    huge = RawOutgoing(topic, b"k", b"x" * (MAX_RECORD_OCTETS + 1))
    fits = RawOutgoing(topic, b"k", b"x")
    with pytest.raises(PublishFailed, match="MessageSizeTooLarge"):
        await bench.producer.send_raw([fits, huge, fits])
    await bench.producer.send_raw([fits])
    assert len([r async for r in read_topic(bench.bootstrap, topic)]) == 3


async def test_a_mixed_batch_with_one_refusal_raises_too(bench):
    code, bulk = bench.topic("verification"), bench.topic("marketing")
    await bench.topics(code, bulk)
    with pytest.raises(PublishFailed):
        await bench.producer.send_raw(
            [RawOutgoing(code, b"k", b"x"), RawOutgoing(bulk, b"k", b"x" * (MAX_RECORD_OCTETS + 1))]
        )


async def test_a_closed_producer_refuses(kafka_bootstrap):
    producer = Producer(kafka_bootstrap, client_id="closed")
    await producer.start()
    await producer.close()
    with pytest.raises(PublishFailed):
        await producer.send_raw([RawOutgoing("any", b"k", b"v")])


class Spent:
    """An aiokafka producer whose sequence numbers are spent: it acknowledges nothing, and refuses from some moment on."""

    def __init__(self):
        self.refusing = False
        self.never = []

    async def send(self, *args, **kwargs):
        if self.refusing:
            raise OutOfOrderSequenceNumber
        self.never.append(asyncio.get_running_loop().create_future())
        return self.never[-1]

    async def stop(self):
        return


async def test_a_spent_producer_is_replaced_for_all_who_wait_on_it(bench, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    real, spent = bench.producer._bulk._inner, Spent()
    bench.producer._bulk._inner = spent
    waiting = asyncio.create_task(bench.producer.send_raw([RawOutgoing(topic, b"k", b"first")]))
    await wait_until(lambda: spent.never)
    spent.refusing = True
    await bench.producer.send_raw([RawOutgoing(topic, b"k", b"second")])
    await asyncio.wait_for(waiting, 10)
    assert {r.value async for r in read_topic(bench.bootstrap, topic)} == {b"first", b"second"}
    assert await bench.producer.probe() is None
    await real.stop()


async def test_a_caller_with_a_deadline_is_told_and_the_next_one_succeeds(bench):
    topic = bench.topic()
    await bench.topics(topic)
    real, spent = bench.producer._bulk._inner, Spent()
    bench.producer._bulk._inner = spent
    with pytest.raises(PublishFailed, match="in time"):
        await bench.producer.send_raw([RawOutgoing(topic, b"k", b"first")], timeout_s=0.1)
    spent.refusing = True
    await bench.producer.send_raw([RawOutgoing(topic, b"k", b"second")], timeout_s=10)
    assert [r.value async for r in read_topic(bench.bootstrap, topic)] == [b"second"]
    await real.stop()


async def test_read_back_begins_at_a_time_and_ends_at_the_end(bench, make_event):
    topic = bench.topic()
    await bench.topics(topic, partitions=2)
    await bench.producer.send_batch([make_event(topic, n) for n in range(50)])
    records = [r async for r in read_topic(bench.bootstrap, topic)]
    newest = max(r.timestamp_ms for r in records)
    assert [r async for r in read_back(bench.bootstrap, topic, [0, 1], newest + 1)] == []
    only = [r async for r in read_back(bench.bootstrap, topic, [1], 0)]
    assert {r.offset for r in only} == {r.offset for r in records if r.partition == 1}
    assert [r async for r in read_topic(bench.bootstrap, bench.topic("internal"))] == []


async def test_a_follower_reads_the_past_then_what_comes(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(20)])
    seen = []

    async def take(record):
        seen.append(record.offset)

    follower = Follower(bench.bootstrap, [topic], take)
    task = asyncio.create_task(follower.run())
    assert "still reading" in await follower.probe()
    await asyncio.wait_for(follower.caught_up(), 20)
    assert len(seen) == 20
    assert await follower.probe() is None
    await bench.producer.send_batch([make_event(topic, 21)])
    await wait_until(lambda: len(seen) == 21)
    await follower.stop()
    await task


async def test_topics_are_made_grown_and_configured_but_never_shrunk(bench):
    name = bench.topic()

    def topic(partitions, retention=1_000_000):
        return Topic(
            name=name, events=(), key="", producer="p", consumers=("c",), partitions=partitions, retention_ms=retention
        )

    assert await apply(bench.bootstrap, topics=[topic(2)]) == [f"created {name}"]
    assert await apply(bench.bootstrap, topics=[topic(2)]) == []
    assert await apply(bench.bootstrap, topics=[topic(3)]) == [f"grew {name} to 3 partitions"]
    assert await apply(bench.bootstrap, topics=[topic(1)]) == []
    assert await apply(bench.bootstrap, topics=[topic(3, 2_000_000)]) == [f"configured {name}"]
    (state,) = await list_topics(bench.bootstrap, topics=[topic(1)])
    assert (state.partitions, state.wanted_partitions, state.records, state.retention_ms) == (3, 1, 0, 1_000_000)


async def test_the_records_of_contracts_can_be_applied(kafka_bootstrap):
    await apply(kafka_bootstrap)
    assert await apply(kafka_bootstrap) == []
    assert all(t.partitions == t.wanted_partitions for t in await list_topics(kafka_bootstrap))
    assert len(await list_topics(kafka_bootstrap)) == len(TOPICS)
