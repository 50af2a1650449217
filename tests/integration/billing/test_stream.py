"""From Kafka to files and back to Kafka, with workers killed in the middle: one record a segment, one number a file."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bus.admin import apply
from bus.producer import Producer
from bus.replay import read_topic
from contracts.envelope import decode
from contracts.lanes import LANES, Lane
from contracts.topics import Topic, dead_letter_topic

WORKER = Path(__file__).with_name("worker.py")
CHUNKS, MESSAGES = 60, 40


async def test_workers_killed_at_work_leave_every_segment_charged_once(
    office, make, kafka_bootstrap, topic_prefix, tmp_path
):
    names = [f"{topic_prefix}{stage}.{lane.value}" for stage in ("outcomes", "charged") for lane in LANES]
    made = [Topic(name=name, events=(), key="", producer="", consumers=(), partitions=2) for name in names]
    made.append(Topic(name=dead_letter_topic(topic_prefix.rstrip(".")), events=(), key="", producer="", consumers=()))
    await apply(kafka_bootstrap, topics=made)
    producer = Producer(kafka_bootstrap, client_id="test")
    await producer.start()
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        arguments = [kafka_bootstrap, office.url, topic_prefix, str(tmp_path / "files"), f"w{len(workers)}"]
        workers.append(subprocess.Popen([sys.executable, str(WORKER), *arguments]))

    rng = random.Random(3)
    now = time.time_ns() // 1_000_000
    events = []
    for _ in range(CHUNKS):
        chunk, lane = make.chunk(), rng.choice(LANES)
        said = [make.answered(chunk, MESSAGES, at=now), make.reported(chunk, MESSAGES, at=now)]
        # Every event once at least, some of them again, receipts sometimes first.
        said += [rng.choice(said) for _ in range(rng.randint(0, 2))]
        rng.shuffle(said)
        events += [(f"{topic_prefix}outcomes.{lane.value}", make.envelope_of(event)) for event in said]

    async def filed(least: int) -> bool:
        return (await office.database.fetchval("select coalesce(sum(records), 0) from file")) >= least

    try:
        start()
        start()
        third = len(events) // 3
        await producer.send_batch(events[:third])
        await make.until(lambda: filed(1))
        workers[0].kill()
        await producer.send_batch(events[third : 2 * third])
        start()
        await make.until(lambda: filed(CHUNKS * MESSAGES // 4), 60)
        workers[1].kill()
        await producer.send_batch(events[2 * third :])
        start()
        await make.until(lambda: filed(CHUNKS * MESSAGES), 60)

        async def told() -> bool:
            return not await office.database.fetchval("select count(*) from file where published_at is null")

        await make.until(told)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        await producer.close()
    figures = await office.figures()
    total = CHUNKS * MESSAGES
    assert (figures.answered, figures.filed, figures.open) == (total, total, 0)
    assert (figures.doubled_answers, figures.doubled_records, figures.missing, figures.unfounded) == (0, 0, 0, 0)
    numbers = [row["no"] for row in await office.database.fetch("select no from file order by no")]
    assert numbers == list(range(1, len(numbers) + 1))
    charged = await _charged(kafka_bootstrap, topic_prefix)
    assert len(charged) == total
    assert set(charged.values()) == {1}
    on_disk = {path.name for path in (tmp_path / "files" / "exchange" / "outgoing").iterdir()}
    assert on_disk >= {
        row["name"] for row in await office.database.fetch("select name from file where offered_at is not null")
    }


async def _charged(bootstrap: str, prefix: str) -> Counter[tuple[str, int, int]]:
    """Return how often each segment was said to be charged; an event repeated under its own id counts once."""
    events = {}
    for lane in Lane:
        async for raw in read_topic(bootstrap, f"{prefix}charged.{lane.value}"):
            envelope = decode(raw.value, raw.header("type"))
            events[envelope.id] = envelope.data
    return Counter(
        (event.chunk_id, index, segment)
        for event in events.values()
        for index, segment in zip(event.indices, event.segments, strict=True)
    )
