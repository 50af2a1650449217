"""A charging worker over topics of a test's own; run as a process of its own so that it can be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from billing_sync.adapters.folder import Folder
from billing_sync.handlers.charge import ChargeOutcomes
from billing_sync.handlers.clerk import Clerk
from billing_sync.handlers.files import Recent, Shape
from billing_sync.handlers.outboxes import FileOutbox
from bus.consumer import Consumer
from bus.intake import Limits
from bus.outbox import Relay
from bus.producer import Producer
from contracts.lanes import LANES
from servicekit.clock import SystemClock
from servicekit.database import Database


async def work(bootstrap: str, url: str, prefix: str, directory: str, instance: str) -> None:
    database = Database(url, "billing", application=instance)
    await database.open()
    producer = Producer(bootstrap, client_id=instance)
    await producer.start()
    consumer = Consumer(
        bootstrap_servers=bootstrap,
        group=f"{prefix}billing",
        topics=[f"{prefix}outcomes.{lane.value}" for lane in LANES],
        handler=ChargeOutcomes(SystemClock()),
        producer=producer,
        database=database,
        limits=Limits(max_records=8),
        instance=instance,
    )
    recent = Recent()
    clerk = Clerk(
        database=database, folder=Folder(Path(directory)), shape=Shape(1_000, 500, "GX01", "utf-8"), recent=recent, term_ms=10**10,
        clock=SystemClock(), tick_s=0.1,
    )  # fmt: skip
    relay = Relay(
        f"{prefix}file", database, producer, FileOutbox(f"{prefix}charged", recent), older_than_s=0.0, interval_s=0.2
    )
    await asyncio.gather(consumer.run(), clerk.run(), relay.run())


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
