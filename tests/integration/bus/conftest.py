"""Topics of a test's own, a database with one effect table, and helpers to wait for conditions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from bus.admin import apply
from bus.consumer import Consumer
from bus.handling import Effect
from bus.producer import Outgoing, Producer
from bus.records import Batch
from contracts import envelope
from contracts.events.ingest import TaskCancelled
from contracts.topics import Topic
from servicekit.database import Connection, Database
from servicekit.tables import CONSUMER_OFFSET, MOVE_OFFSETS

EFFECT = """
create schema svc; set search_path = svc;
create table effect (event_id text primary key, topic text, part int, at bigserial);
create table chunk (chunk_id text primary key, created_at timestamptz default now(), published_at timestamptz);
create function put(e_id text[], e_topic text[], e_part int[], p_most int, out n int) language plpgsql as $$
begin
    if cardinality(e_id) > p_most then
        raise exception 'too many for a call' using errcode = 'GX004';
    end if;
    insert into effect (event_id, topic, part) select * from unnest(e_id, e_topic, e_part);
    get diagnostics n = row_count;
end $$;
"""


def event(topic: str, number: int, key: str = "", traceparent: str = "") -> Outgoing:
    task = f"{number:032x}"
    data = TaskCancelled(task_id=task, enterprise="e", at=number)
    return topic, envelope.wrap(
        data, id=f"{task}:cancel:0", key=key or f"t:{number}", tenant="t", occurred_at=number, traceparent=traceparent
    )


async def until(condition: Callable[[], Any], timeout: float = 30) -> None:
    """Wait until the condition (sync or async) holds."""
    async with asyncio.timeout(timeout):
        while True:
            value = condition()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return
            await asyncio.sleep(0.02)


@dataclass
class Bench:
    bootstrap: str
    prefix: str
    producer: Producer
    database: Database
    url: str
    running: list[tuple[Consumer, asyncio.Task[None]]] = field(default_factory=list)

    @property
    def service(self) -> str:
        return self.prefix.rstrip(".")

    @property
    def group(self) -> str:
        return f"{self.service}.test"

    def topic(self, lane: str = "notice") -> str:
        return f"{self.prefix}stage.{lane}"

    async def topics(self, *names: str, partitions: int = 2) -> None:
        wanted = [
            Topic(name=name, events=(), key="", producer="", consumers=(), partitions=partitions) for name in names
        ]
        wanted.append(Topic(name=f"{self.service}.dlq", events=(), key="", producer="", consumers=(), partitions=1))
        await apply(self.bootstrap, topics=wanted)

    def consumer(self, handler: Any, topics: Sequence[str], **options: Any) -> Consumer:
        options.setdefault("group", self.group)
        return Consumer(
            bootstrap_servers=self.bootstrap,
            topics=topics,
            handler=handler,
            producer=self.producer,
            database=self.database,
            instance="test",
            **options,
        )

    def start(self, consumer: Consumer) -> asyncio.Task[None]:
        task = asyncio.create_task(consumer.run())
        self.running.append((consumer, task))
        return task

    async def effects(self) -> int:
        return int(await self.database.fetchval("select count(*) from effect"))

    async def stop_all(self) -> None:
        for consumer, task in self.running:
            if not task.done():
                await asyncio.wait([asyncio.create_task(consumer.stop()), task], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([task], timeout=30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def bench_on(kafka: str, url: str, prefix: str) -> AsyncIterator[Bench]:
    connection = await asyncpg.connect(url)
    await connection.execute(EFFECT)
    await connection.execute(CONSUMER_OFFSET)
    await connection.execute(MOVE_OFFSETS)
    await connection.close()
    database = Database(url, "svc", application="test")
    await database.open()
    producer = Producer(kafka, client_id="test")
    await producer.start()
    bench = Bench(kafka, prefix, producer, database, url)
    try:
        yield bench
    finally:
        await bench.stop_all()
        await producer.close()
        await database.close()


@pytest_asyncio.fixture
async def bench(kafka_bootstrap: str, postgres_url: str, topic_prefix: str) -> AsyncIterator[Bench]:
    async with bench_on(kafka_bootstrap, postgres_url, topic_prefix) as made:
        yield made


@pytest.fixture
def bench_factory() -> Callable[..., Any]:
    return bench_on


@pytest.fixture
def make_event() -> Callable[..., Outgoing]:
    return event


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    return until


class Inserting:
    """Inserts each event without "on conflict": a second effect of one event is a unique violation, and so a crash."""

    def __init__(self, publish_to: str = "") -> None:
        self.publish_to = publish_to
        self.batches: list[tuple[str, int]] = []

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        self.batches.append((batch.topic, len(batch)))
        await tx.executemany(
            "insert into effect (event_id, topic, part) values ($1, $2, $3)"
            + (" on conflict do nothing" if self.publish_to else ""),
            [(r.envelope.id, r.topic, r.partition) for r in batch],
        )
        return Effect(publish=[(self.publish_to, r.envelope) for r in batch] if self.publish_to else ())


@pytest.fixture
def inserting() -> type[Inserting]:
    return Inserting
