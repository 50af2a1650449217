"""Topics of a test's own, workers as processes, and a way to read what they said."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bus.admin import apply
from bus.producer import Producer
from bus.replay import read_topic
from contracts.chunk import Chunk, Entry
from contracts.envelope import Envelope, decode, partition_key, wrap
from contracts.events.ingest import ChunkAccepted
from contracts.ids import event_id, new_id
from contracts.lanes import LANES, Lane
from contracts.topics import Topic, dead_letter_topic

WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Bench:
    bootstrap: str
    prefix: str
    producer: Producer
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        name = f"w{len(self.workers)}"
        worker = subprocess.Popen([sys.executable, str(WORKER), self.bootstrap, self.prefix, name])
        self.workers.append(worker)
        return worker

    async def accept(self, *chunks: Chunk) -> None:
        await self.producer.send_batch([
            (
                f"{self.prefix}accepted.{chunk.lane.value}",
                wrap(ChunkAccepted(chunk), id=event_id(chunk.chunk_id, "accepted"), tenant=chunk.tenant,
                     key=partition_key(chunk.tenant, chunk.enterprise), occurred_at=chunk.accepted_at),
            )
            for chunk in chunks
        ])  # fmt: skip

    async def said(self, stage: str, lane: Lane | None = None) -> list[Envelope[Any]]:
        """Everything a stage said, in the order of its partitions."""
        names = [f"{self.prefix}{stage}.{one.value}" for one in ([lane] if lane else LANES)]
        if stage == "counted":
            names = [f"{self.prefix}counted"]
        return [
            decode(raw.value, raw.header("type")) for name in names async for raw in read_topic(self.bootstrap, name)
        ]

    async def judged(self, expected: set[str], timeout: float = 60) -> dict[str, Any]:
        """Wait until every chunk was judged; return the first verdict on each."""
        found: dict[str, Any] = {}

        async def complete() -> bool:
            found.clear()
            for envelope in await self.said("judged"):
                found.setdefault(envelope.data.chunk_id, envelope.data)
            return expected <= found.keys()

        await until(complete, timeout)
        return found

    until = staticmethod(lambda condition, timeout=30: until(condition, timeout))


async def until(condition: Callable[[], Awaitable[bool]], timeout: float = 30) -> None:
    async with asyncio.timeout(timeout):
        while not await condition():  # noqa: ASYNC110 - the condition lives in another process
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def bench(kafka_bootstrap: str, topic_prefix: str) -> AsyncIterator[Bench]:
    names = [f"{topic_prefix}{stage}.{lane.value}" for stage in ("accepted", "screened", "judged") for lane in LANES]
    topics = [
        Topic(name=name, events=(), key="", producer="spamfilter", consumers=(), partitions=4)
        for name in [*names, f"{topic_prefix}counted"]
    ]
    dead = dead_letter_topic(topic_prefix.rstrip("."))
    topics.append(Topic(name=dead, events=(), key="", producer="spamfilter", consumers=()))
    await apply(kafka_bootstrap, topics=topics)
    producer = Producer(kafka_bootstrap, client_id="test")
    await producer.start()
    made = Bench(kafka_bootstrap, topic_prefix, producer)
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.kill()
            worker.wait()
        await producer.close()


def build_chunk(
    *, sender: str = "106900001", count: int = 1, registered: bool = True, text: str = "您好，明天下午三点见",
    lane: Lane = Lane.NOTICE, enterprise: str = "e1", at: int | None = None,
) -> Chunk:  # fmt: skip
    now = time.time_ns() // 1_000_000 if at is None else at
    entry = Entry(
        task_id="0" * 32, first=0, count=count, port=sender, pieces=[text], expires_at=now + 60_000,
        task_total=count, registered=registered,
    )  # fmt: skip
    return Chunk(
        chunk_id=new_id(now, secrets.token_bytes(10)), tenant="demo", enterprise=enterprise, lane=lane, accepted_at=now,
        recipients=[8613800000000 + i for i in range(count)], carriers="M" * count, entries=[entry],
    )  # fmt: skip


@pytest.fixture
def make_chunk() -> Callable[..., Chunk]:
    return build_chunk
