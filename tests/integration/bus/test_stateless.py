"""A handler without state: every record once, the three outcomes, offsets after a restart."""

from __future__ import annotations

import asyncio

import pytest

from bus import deadletters
from bus.admin import lag
from bus.intake import Limits
from bus.producer import RawOutgoing
from bus.records import Batch, Busy, Invalid, TooManyInvalid


class Collecting:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.batches: list[tuple[str, int]] = []
        self.refuse: set[str] = set()
        self.busy = 0

    async def handle(self, batch: Batch) -> list[Invalid]:
        if self.busy:
            self.busy -= 1
            raise Busy("made up", 0.01)
        self.batches.append((batch.topic, len(batch)))
        invalid = [Invalid(r, "refused", "as told") for r in batch if r.envelope.id in self.refuse]
        self.seen += [r.envelope.id for r in batch if r.envelope.id not in self.refuse]
        return invalid


async def test_every_record_once_and_offsets_survive_a_restart(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(300)])
    first = Collecting()
    consumer = bench.consumer(first, [topic])
    task = bench.start(consumer)
    await wait_until(lambda: len(first.seen) == 300)
    assert await consumer.probe() is None
    await consumer.stop()
    await task
    assert len(set(first.seen)) == 300
    assert sum(row.lag for row in await lag(bench.bootstrap, [bench.group])) == 0

    await bench.producer.send_batch([make_event(topic, n) for n in range(300, 310)])
    second = Collecting()
    bench.start(bench.consumer(second, [topic]))
    await wait_until(lambda: len(second.seen) >= 10)
    assert sorted(second.seen) == [make_event(topic, n)[1].id for n in range(300, 310)]


async def test_order_is_kept_per_key(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=4)
    await bench.producer.send_batch([make_event(topic, n, key=f"k{n % 7}") for n in range(700)])
    handler = Collecting()
    bench.start(bench.consumer(handler, [topic], limits=Limits(max_records=16, queue_records=32)))
    await wait_until(lambda: len(handler.seen) == 700)
    numbers = [int(i.partition(":")[0], 16) for i in handler.seen]
    for key in range(7):
        mine = [n for n in numbers if n % 7 == key]
        assert mine == sorted(mine)


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_do_not(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(5)])
    await bench.producer.send_raw(
        [
            RawOutgoing(topic, b"k", b"\xff not json", (("type", b"TaskCancelled"),)),
            RawOutgoing(topic, b"k", b'{"type":"NoSuchThing","version":1}', ()),
            RawOutgoing(topic, b"k", None, ()),
        ]
    )
    await bench.producer.send_batch([make_event(topic, n) for n in range(5, 10)])
    handler = Collecting()
    handler.refuse = {make_event(topic, 3)[1].id}
    bench.start(bench.consumer(handler, [topic]))
    await wait_until(lambda: len(handler.seen) == 9)

    async def letters():
        return await deadletters.list_letters(bench.bootstrap, bench.service)

    async def four():
        return len(await letters()) == 4

    await wait_until(four)
    found = await letters()
    assert sorted(letter.code for letter in found) == ["malformed", "no_value", "refused", "unknown_type"]
    poison = next(letter for letter in found if letter.code == "malformed")
    assert poison.record.value == b"\xff not json"
    assert poison.record.key == b"k"
    assert poison.record.headers == (("type", b"TaskCancelled"),)
    assert poison.record.topic == topic
    assert poison.group == bench.group
    assert await deadletters.show(bench.bootstrap, bench.service, poison.number) == poison


async def test_replay_reaches_only_the_group_that_refused_and_drop_is_audited(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    wanted, unwanted = make_event(topic, 1)[1].id, make_event(topic, 2)[1].id
    handler, other = Collecting(), Collecting()
    handler.refuse = {wanted, unwanted}
    bench.start(bench.consumer(handler, [topic]))
    bench.start(bench.consumer(other, [topic], group=f"{bench.service}.other"))
    await bench.producer.send_batch([make_event(topic, n) for n in range(4)])
    await wait_until(lambda: len(handler.seen) == 2 and len(other.seen) == 4)

    async def two():
        return len(await deadletters.list_letters(bench.bootstrap, bench.service)) == 2

    await wait_until(two)
    letters = {
        x.record.header("type") + str(x.number): x
        for x in await deadletters.list_letters(bench.bootstrap, bench.service)
    }
    by_id = {wanted: None, unwanted: None}
    for letter in letters.values():
        for event_id in by_id:
            if event_id.encode() in letter.record.value:
                by_id[event_id] = letter
    handler.refuse = set()
    await deadletters.replay(bench.bootstrap, bench.service, [by_id[wanted].number], by="op", reason="mended")
    await deadletters.drop(bench.bootstrap, bench.service, [by_id[unwanted].number], by="op", reason="a test's")
    await wait_until(lambda: wanted in handler.seen)
    assert await deadletters.list_letters(bench.bootstrap, bench.service) == []
    settled = await deadletters.list_letters(bench.bootstrap, bench.service, include_settled=True)
    assert {(x.settled.action, x.settled.by, x.settled.reason) for x in settled} == {
        ("replayed", "op", "mended"),
        ("dropped", "op", "a test's"),
    }
    with pytest.raises(deadletters.NoSuchLetter):
        await deadletters.replay(bench.bootstrap, bench.service, [by_id[unwanted].number], by="op", reason="again")
    # A record behind the replayed one in the same partition shows that the other group has passed it over.
    key = by_id[wanted].record.key.decode()
    await bench.producer.send_batch([make_event(topic, 99, key=key)])
    await wait_until(lambda: make_event(topic, 99)[1].id in other.seen)
    assert other.seen.count(wanted) == 1


async def test_too_many_invalid_records_end_the_process_and_none_is_lost(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    await bench.producer.send_raw([RawOutgoing(topic, b"k", b"rubbish", ()) for _ in range(30)])
    task = bench.start(bench.consumer(Collecting(), [topic], limits=Limits(max_records=4), dead_letter_cap=10))
    with pytest.raises(TooManyInvalid):
        await asyncio.wait_for(task, 30)
    letters = await deadletters.list_letters(bench.bootstrap, bench.service)
    # Two batches of four fit under the cap; the third was refused whole, not cut silently.
    assert [letter.record.offset for letter in letters] == list(range(8))


async def test_back_pressure_keeps_the_batch_and_tries_again(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    handler = Collecting()
    handler.busy = 5
    bench.start(bench.consumer(handler, [topic]))
    await bench.producer.send_batch([make_event(topic, n) for n in range(50)])
    await wait_until(lambda: len(handler.seen) >= 50)
    assert sorted(handler.seen) == sorted({make_event(topic, n)[1].id for n in range(50)})


async def test_a_fault_of_ours_ends_the_process_and_the_records_come_again(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic)
    await bench.producer.send_batch([make_event(topic, n) for n in range(20)])

    class Faulty:
        async def handle(self, batch: Batch) -> list[Invalid]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bench.start(bench.consumer(Faulty(), [topic])), 30)
    handler = Collecting()
    bench.start(bench.consumer(handler, [topic]))
    await wait_until(lambda: len(handler.seen) == 20)


async def test_a_fault_in_one_lane_ends_the_process_although_others_wait(bench, make_event):
    lanes = [bench.topic(lane) for lane in ("verification", "notice", "internal", "marketing")]
    await bench.topics(*lanes)

    class Faulty:
        async def handle(self, batch: Batch) -> list[Invalid]:
            await asyncio.sleep(0)
            raise ZeroDivisionError

    running = bench.start(bench.consumer(Faulty(), lanes, overlap_lanes=True))
    await bench.producer.send_batch([make_event(lanes[0], 1)])
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, 30)


@pytest.mark.parametrize("overlap", [False, True])
async def test_a_code_waits_for_at_most_one_bulk_batch(bench, make_event, wait_until, overlap):
    bulk, codes = bench.topic("marketing"), bench.topic("verification")
    await bench.topics(bulk, codes)
    await bench.producer.send_batch([make_event(bulk, n) for n in range(400)])
    step = asyncio.Semaphore(0)

    class Stepping(Collecting):
        async def handle(self, batch: Batch) -> list[Invalid]:
            if batch.lane == "marketing":
                await step.acquire()
            return await super().handle(batch)

    handler = Stepping()
    consumer = bench.consumer(handler, [bulk, codes], limits=Limits(max_records=10), overlap_lanes=overlap)
    bench.start(consumer)
    for _ in range(3):
        step.release()
    await wait_until(lambda: len(handler.batches) == 3)
    await bench.producer.send_batch([make_event(codes, n) for n in range(1000, 1005)])
    if not overlap:
        # The code is in the process's queue while the fourth bulk batch is in hand.
        await wait_until(lambda: sum(len(p.queue) for p in consumer._intake.partitions.values() if p.rank == 0) == 5)
        step.release()
    await wait_until(lambda: sum(n for topic, n in handler.batches if topic == codes) == 5)
    bulk_before = sum(
        1 for topic, _ in handler.batches[: [t for t, _ in handler.batches].index(codes)] if topic == bulk
    )
    assert bulk_before <= 4
    for _ in range(100):
        step.release()
    await wait_until(lambda: len(handler.seen) == 405)


async def test_bulk_that_is_held_back_does_not_hold_codes(bench, make_event, wait_until):
    bulk, codes = bench.topic("marketing"), bench.topic("verification")
    await bench.topics(bulk, codes)

    class BulkBusy(Collecting):
        async def handle(self, batch: Batch) -> list[Invalid]:
            if batch.lane == "marketing":
                raise Busy("no room for bulk", 0.05)
            return await super().handle(batch)

    handler = BulkBusy()
    bench.start(bench.consumer(handler, [bulk, codes]))
    await bench.producer.send_batch([make_event(bulk, n) for n in range(10)])
    await bench.producer.send_batch([make_event(codes, n) for n in range(20, 25)])
    await wait_until(lambda: len(handler.seen) == 5)


async def test_the_queue_in_the_process_is_bounded(bench, make_event, wait_until):
    topic = bench.topic()
    await bench.topics(topic, partitions=1)
    big = "x" * 2_000
    await bench.producer.send_batch([make_event(topic, n, key=f"k{n}{big}") for n in range(3_000)])
    gate = asyncio.Event()
    largest = 0

    class Gated(Collecting):
        async def handle(self, batch: Batch) -> list[Invalid]:
            nonlocal largest
            await gate.wait()
            largest = max(largest, *(len(p.queue) for p in consumer._intake.partitions.values()))
            return await super().handle(batch)

    handler = Gated()
    consumer = bench.consumer(handler, [topic], limits=Limits(max_records=10, queue_records=50))
    bench.start(consumer)
    await wait_until(lambda: any(p.paused for p in consumer._intake.partitions.values()))
    gate.set()
    await wait_until(lambda: len(handler.seen) == 3_000)
    # One fetch brings at most 1 MiB, some 240 of these records with their keys; the queue overshoots by no more than two.
    assert largest <= 50 + 2 * 270
