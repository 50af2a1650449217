"""The gate and the relay on real Kafka: released once each, the same again after a crash, codes while bulk is waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

import review.domain
from bus.admin import apply
from bus.consumer import Consumer
from bus.outbox import Relay
from bus.producer import Producer
from bus.replay import read_back
from contracts import envelope, topics
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from contracts.events.spamfilter import Finding, Judgement, Verdict
from contracts.lanes import LANES
from contracts.topics import Topic
from review.domain import checklist as checklists
from review.domain.hours import Hours
from review.domain.policy import Tier, Window
from review.handlers.clockwork import Clockwork
from review.handlers.decide import Actor, Desk
from review.handlers.release import Releases
from review.store.policies import PolicyStore

PLAIN = "尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"
CHECKLIST = checklists.parse((Path(review.domain.__file__).parent / "checklist.json").read_bytes())


class Prefixed:
    """A producer whose topics carry the test's prefix; it can be told to die after an acknowledgement."""

    def __init__(self, inner, prefix):
        self.inner, self.prefix, self.die_after = inner, prefix, None

    async def send_batch(self, events, *, timeout_s=None, express=False):
        prefixed = [(self.prefix + topic, event) for topic, event in events]
        await self.inner.send_batch(prefixed, timeout_s=timeout_s, express=express)
        if self.die_after is not None:
            self.die_after -= 1
            if self.die_after <= 0:
                raise RuntimeError("killed after the acknowledgement")

    async def send_raw(self, records, *, timeout_s=None):
        await self.inner.send_raw(records, timeout_s=timeout_s)


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is in Kafka or PostgreSQL
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def bus(bench, kafka_bootstrap, topic_prefix):
    names = [topics.lane_topic(s, lane) for s in (topics.SCREENED, topics.RELEASED, topics.DECIDED) for lane in LANES]
    wanted = [
        Topic(name=topic_prefix + name, events=(), key="", producer="", consumers=(), partitions=2) for name in names
    ]
    service = topic_prefix.rstrip(".")
    wanted.append(Topic(name=f"{service}.dlq", events=(), key="", producer="", consumers=(), partitions=1))
    await apply(kafka_bootstrap, topics=wanted)
    inner = Producer(kafka_bootstrap, client_id="test-review")
    await inner.start()
    running = []

    class Bus:
        producer = Prefixed(inner, topic_prefix)

        def start(self, gate, producer=None):
            consumer = Consumer(
                bootstrap_servers=kafka_bootstrap,
                group=f"{service}.review",
                topics=[topic_prefix + name for name in topics.topics_of(topics.SCREENED)],
                handler=gate,
                producer=producer or self.producer,
                database=bench.database,
                offsets="after_publish",
                overlap_lanes=True,
                instance="test",
            )
            task = asyncio.create_task(consumer.run())
            running.append((consumer, task))
            return consumer, task

        async def post(self, events, lane="notice"):
            wrapped = [
                envelope.wrap(
                    event,
                    id=f"{event.chunk.chunk_id}:screened:{event.part}",
                    key=envelope.partition_key(event.chunk.tenant, event.chunk.enterprise),
                    tenant=event.chunk.tenant,
                    occurred_at=event.screened_at,
                )
                for event in events
            ]
            await self.producer.send_batch([(f"spamfilter.screened.{lane}", one) for one in wrapped])

        async def seen(self):
            found = []
            for stage in (topics.RELEASED, topics.DECIDED):
                for lane in LANES:
                    name = topic_prefix + topics.lane_topic(stage, lane)
                    found += [r async for r in read_back(kafka_bootstrap, name, [0, 1], 0)]
            return [envelope.decode(record.value or b"") for record in found]

        async def released(self):
            return [e.data for e in await self.seen() if isinstance(e.data, ChunkReleased)]

    yield Bus()
    for consumer, task in running:
        if not task.done():
            await consumer.stop()
        await asyncio.gather(task, return_exceptions=True)
    await inner.close()


def messages(released):
    return sum(len(r.chunk.recipients) if r.indices is None else len(r.indices) for r in released)


async def test_screened_chunks_are_released_and_held_ones_wait_for_approval(bench, bus, make, clock):
    await bench.policy("10655009", Tier.TRUSTED)
    bus.start(bench.gate)
    await bus.post(make.task(PLAIN, 2_000, port="10655009"))
    held = make.task(PLAIN, 700)
    task = held[0].chunk.entries[0].task_id
    await bus.post(held)

    async def all_decided():
        return await bench.database.fetchval("select count(*) from gate") == 6

    await until(all_decided)

    async def direct_is_out():
        return messages(await bus.released()) == 2_000

    await until(direct_is_out)
    desk = Desk(
        bench.database,
        clock,
        PolicyStore(Tier.HIGH, 50),
        CHECKLIST,
        Hours(Window(0, 1440), every_day=True),
        Window(0, 1440),
        claim_ms=60_000,
    )
    await desk.approve(Actor("t1", "wei", "reviewer"), [task])
    clock.advance(10_000)
    await Clockwork(bench.database, clock, CHECKLIST, refusals_to_suspend=5, keep_days=30).tick()
    assert messages(await bus.released()) == 2_000
    relay = Relay("review.releases", bench.database, bus.producer, Releases(), older_than_s=0.0)
    await relay.once()
    approved = [r for r in await bus.released() if r.reason == "approved"]
    assert messages(approved) == 700
    assert {r.by for r in approved} == {"wei"}
    decisions = Counter(e.data.decision for e in await bus.seen() if isinstance(e.data, MessagesDecided))
    assert decisions == {Decision.RELEASED: 4 + 2, Decision.HELD: 2}


async def test_a_crash_between_commit_and_publish_emits_the_same_again(bench, bus, make, clock, gate_factory):
    dying = Prefixed(bus.producer.inner, bus.producer.prefix)
    dying.die_after = 1
    _, task = bus.start(bench.gate, dying)
    await bus.post([*make.task(PLAIN, 30), *make.task("另一份内容完全不同的停电通知，请各位业主提前做好准备。", 80)])
    with pytest.raises(RuntimeError, match="killed"):
        await task
    first = await bus.seen()
    assert first
    # The next process decides by the rows that stand, even under another policy and at another time.
    clock.advance(60_000)
    await bench.policy("10655001", Tier.TRUSTED)
    bus.start(gate_factory(clock))

    async def again():
        copies = Counter(e.id for e in await bus.seen())
        decided = await bench.database.fetchval("select count(*) from gate")
        return decided == 2 and all(copies[e.id] >= 2 for e in first)

    await until(again)
    by_id: dict[str, list[object]] = {}
    for event in await bus.seen():
        by_id.setdefault(event.id, []).append(event.data)
    assert all(copy == copies[0] for copies in by_id.values() for copy in copies)
    assert await bench.database.fetchval("select sum(messages) from content_count") == 110


async def test_what_arrives_after_the_approval_with_a_finding_is_not_released_with_it(bench, bus, make, clock):
    bus.start(bench.gate)
    first, second, third = make.task(PLAIN, 1_500)
    task = first.chunk.entries[0].task_id

    async def decided(number):
        async def there():
            return await bench.database.fetchval("select count(*) from gate") == number

        await until(there)

    await bus.post([first])
    await decided(1)
    whole_day = Hours(Window(0, 1440), every_day=True)
    policies = PolicyStore(Tier.HIGH, 50)
    desk = Desk(bench.database, clock, policies, CHECKLIST, whole_day, Window(0, 1440), claim_ms=60_000)
    clockwork = Clockwork(bench.database, clock, CHECKLIST, refusals_to_suspend=5, keep_days=30)
    relay = Relay("review.releases", bench.database, bus.producer, Releases(), older_than_s=0.0)
    await desk.approve(Actor("t1", "wei", "reviewer"), [task])
    clock.advance(10_000)
    await clockwork.tick()
    finding = Finding("fin-01", "finance", "hold", (0, 2), "贷款")
    marked = [Judgement(0, 3, Verdict.HOLD, "keyword_hold", [finding])]
    await bus.post([msgspec.structs.replace(second, judgements=marked), third])
    await decided(3)
    await relay.once()
    assert messages(await bus.released()) == 1_497
    late = await bench.database.fetchval("select task_id from item where late_of = $1 and state = 'queued'", task)
    await desk.approve(Actor("t1", "li", "reviewer"), [late])
    clock.advance(10_000)
    await clockwork.tick()
    await relay.once()
    (last,) = [r for r in await bus.released() if r.by == "li"]
    assert (last.chunk.chunk_id, last.indices) == (second.chunk.chunk_id, [0, 1, 2])
    released = await bus.released()
    assert len({r.release_id for r in released}) == len(released) == 4
