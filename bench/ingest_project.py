"""What following a message costs: events of later stages applied to state vectors, in microseconds a message.

Needs an empty database of its own (``--database``, migrated); runs the projector's handler itself, without a broker, in
transactions as the consumer makes them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psutil

from bus.records import Batch, RawRecord, Record
from contracts.envelope import encode, wrap
from contracts.events.billing import SegmentsCharged
from contracts.events.dispatch import MessagesQueued, SegmentsAnswered, SegmentsReported, SegmentState
from contracts.events.review import Decision, MessagesDecided
from contracts.events.spamfilter import ChunkJudged
from contracts.ids import event_id
from ingest.domain.identity import fresh_id
from ingest.handlers.project import Projector
from ingest.store import accepts
from ingest.store.accepts import ChunkRow
from servicekit.database import Database


def chunk_row(size: int, number: int) -> ChunkRow:
    chunk_id = fresh_id(time.time_ns() // 1_000_000, os.urandom(10))
    recipients = [8_613_800_000_000 + number * size + each for each in range(size)]
    return ChunkRow(
        UUID(chunk_id), "main", "bench", "notice", None, int(chunk_id[:12], 16), "", b"{}", recipients, "M" * size,
        b"\1" * size, None,
    )  # fmt: skip


def stages(chunk_id: str, size: int) -> list[Any]:
    indices, ones = list(range(size)), [1] * size
    common: dict[str, Any] = {"chunk_id": chunk_id, "enterprise": "bench", "link": "carrier-a", "batch": 1}
    return [
        ChunkJudged(chunk_id=chunk_id, ruleset="1", screened_at=1),
        MessagesDecided(chunk_id=chunk_id, decision=Decision.RELEASED, at=2),
        MessagesQueued(chunk_id=chunk_id, at=3),
        SegmentsAnswered(
            **common, slot=0, epoch=1, at=4, protocol="smpp34", carrier="CMCC", indices=indices, segments=ones,
            totals=ones, statuses=[0] * size, carrier_ids=[f"{i:012x}" for i in indices],
            recipients=[8_613_800_000_000 + i for i in indices], senders=["95598"], task_ids=["0" * 32],
        ),
        SegmentsReported(
            **common, at=5, indices=indices, segments=ones, totals=ones, states=[SegmentState.DELIVERED] * size,
            codes=["DELIVRD:000"] * size, done_at=[5] * size,
        ),
        SegmentsCharged(
            chunk_id=chunk_id, file_no=1, file_name="f", at=6, tariff="1", indices=indices, segments=ones,
            amounts=["0.035"] * size,
        ),
    ]  # fmt: skip


def record(event: Any, stage: int, offset: int) -> Record:
    envelope = wrap(
        event, id=event_id(event.chunk_id, "bench", stage), key="main:bench", tenant="main", occurred_at=stage
    )
    raw = RawRecord("bench", 0, offset, 0, None, encode(envelope), ())
    return Record(raw, envelope, "")


async def server_cpu(database: Database) -> float:
    """Return CPU seconds of the PostgreSQL processes that serve this bench (they are on this machine)."""
    rows = await database.fetch("select pid from pg_stat_activity where application_name = 'bench'")
    times = [psutil.Process(row["pid"]).cpu_times() for row in rows]
    return float(sum(each.user + each.system for each in times))


async def run(database: Database, size: int, chunks: int, batch: int) -> None:
    rows = [chunk_row(size, number) for number in range(chunks)]
    async with database.connection() as connection:
        await accepts.insert_chunks(connection, rows)
    projector = Projector()
    columns: Sequence[Sequence[Any]] = [stages(row.chunk_id.hex, size) for row in rows]
    total_cpu = 0.0
    server_begun = await server_cpu(database)
    for stage, made in enumerate(zip(*columns, strict=True)):
        records = [record(event, stage, offset) for offset, event in enumerate(made)]
        wall, cpu = time.perf_counter(), time.process_time()
        for part in _batched(records, batch):
            async with database.transaction() as connection:
                await projector.effect(connection, Batch("bench", None, list(part)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        total_cpu += cpu
        name = type(made[0]).__name__
        print(
            f"  {name:<18} {wall / (chunks * size) * 1e6:7.2f} us wall {cpu / (chunks * size) * 1e6:7.2f} us CPU here"
        )
    messages = chunks * size
    server = (await server_cpu(database) - server_begun) / messages * 1e6
    print(f"  all six: {total_cpu / messages * 1e6:.2f} us CPU a message here, {server:.2f} us in PostgreSQL")


def _batched(records: list[Record], size: int) -> list[list[Record]]:
    return [records[low : low + size] for low in range(0, len(records), size)]


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--database", required=True)
    options = arguments.parse_args()
    database = Database(options.database, "ingest", application="bench")
    await database.open()
    for size, chunks, batch in ((500, 100, 4), (25, 1_000, 100)):
        print(f"{chunks} chunks of {size} messages, {batch} events a transaction:")
        await run(database, size, chunks, batch)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
