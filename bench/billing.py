"""What charging costs a message: taking answers and receipts in, and making files, on a real PostgreSQL.

``GUANXIN_TEST_POSTGRES=... python bench/billing.py [chunks]``; makes and drops a database of its own.  CPU is this process's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from billing_sync.adapters.folder import Folder
from billing_sync.handlers import files
from billing_sync.handlers.charge import ChargeOutcomes
from billing_sync.handlers.files import Shape
from bus.records import Batch, RawRecord, Record
from contracts.envelope import wrap
from contracts.events.dispatch import SegmentsAnswered, SegmentsReported, SegmentState
from contracts.ids import new_id
from contracts.lanes import Lane
from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

MESSAGES = 500
BATCH = 16


def events_of(chunk: str, now: int) -> list[SegmentsAnswered | SegmentsReported]:
    """A chunk's answers and receipts in batches of a hundred, as dispatch says them."""
    said: list[SegmentsAnswered | SegmentsReported] = []
    for first in range(0, MESSAGES, 100):
        indices = list(range(first, first + 100))
        ones = [1] * 100
        said.append(
            SegmentsAnswered(
                chunk_id=chunk,
                enterprise="e1",
                link="l",
                slot=0,
                epoch=1,
                batch=1,
                at=now,
                protocol="smpp34",
                carrier="CMCC",
                indices=indices,
                segments=ones,
                totals=ones,
                statuses=[0] * 100,
                carrier_ids=[f"{i:016x}" for i in indices],
                recipients=[8613800000000 + i for i in indices],
                senders=["106900001"],
                task_ids=["t" * 32],
            )
        )
        said.append(
            SegmentsReported(
                chunk_id=chunk,
                enterprise="e1",
                link="l",
                batch=1,
                at=now,
                indices=indices,
                segments=ones,
                totals=ones,
                states=[SegmentState.DELIVERED] * 100,
                codes=["DELIVRD:000"] * 100,
                done_at=[now] * 100,
            )
        )
    return said


async def main() -> None:
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    admin = os.environ["GUANXIN_TEST_POSTGRES"]
    name = f"bench_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f"create database {name}")
    url = urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))
    try:
        await measure(url, chunks)
    finally:
        await connection.execute(f"drop database {name} with (force)")
        await connection.close()


async def measure(url: str, chunks: int) -> None:
    await migrate(url, OWNERS["billing-sync"])
    database = Database(url, "billing", application="bench")
    await database.open()
    handler = ChargeOutcomes(SystemClock())
    now = time.time_ns() // 1_000_000
    topic = "dispatch.outcomes.notice"
    said = [event for _ in range(chunks) for event in events_of(new_id(now, secrets.token_bytes(10)), now)]
    records = [
        Record(
            RawRecord(topic, 0, n, 0, b"", b"", ()), wrap(e, id="x", key="demo:e1", tenant="demo", occurred_at=now), ""
        )
        for n, e in enumerate(said)
    ]
    total = chunks * MESSAGES
    cpu, wall = time.process_time(), time.perf_counter()
    for start in range(0, len(records), BATCH):
        async with database.transaction() as tx:
            await handler.effect(tx, Batch(topic, Lane.NOTICE, records[start : start + BATCH]))
    show("answers and receipts taken in", total, time.process_time() - cpu, time.perf_counter() - wall)
    cpu, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        made = await files.make_due(database, Folder(Path(directory)), Shape(300_000, 10_000, "GX01", "utf-8"), 2 * now)
    show(f"{len(made)} files made and written", total, time.process_time() - cpu, time.perf_counter() - wall)
    await database.close()


def show(what: str, messages: int, cpu: float, wall: float) -> None:
    print(f"{what:<34} {messages / wall:>10,.0f} messages/s {cpu / messages * 1e6:>7.2f} us CPU a message")


if __name__ == "__main__":
    asyncio.run(main())
