"""A fresh billing schema, a clock in the test's hand, and events of dispatch."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from billing_sync.adapters.folder import Folder
from billing_sync.handlers.charge import ChargeOutcomes
from billing_sync.handlers.clerk import Clerk
from billing_sync.handlers.files import Recent, Shape
from billing_sync.store import reconciliation
from bus.records import Batch, RawRecord, Record
from contracts.envelope import Envelope, wrap
from contracts.events.dispatch import SegmentsAnswered, SegmentsReported, SegmentState
from contracts.ids import new_id
from contracts.lanes import Lane
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

START = 1795392000000
"""2026-11-23 00:00 UTC."""

MINUTE = 60_000


class Clock:
    def __init__(self) -> None:
        self.now = START

    def wall_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000


@dataclass
class Office:
    database: Database
    folder: Folder
    clock: Clock
    clerk: Clerk
    handler: ChargeOutcomes
    url: str
    directory: Path

    async def take(self, *events: Any, lane: Lane = Lane.NOTICE) -> None:
        """Handle events as one batch in one transaction, as the bus does."""
        topic = f"dispatch.outcomes.{lane.value}"
        records = [
            Record(RawRecord(topic, 0, n, 0, b"", b"", ()), envelope_of(event), "") for n, event in enumerate(events)
        ]
        async with self.database.transaction() as tx:
            await self.handler.effect(tx, Batch(topic, lane, records))

    async def figures(self) -> reconciliation.Figures:
        async with self.database.connection() as connection:
            return await reconciliation.figures(connection, 0, 2**52)

    def another_clerk(self, directory: Path, **shape: Any) -> Clerk:
        return make_clerk(self.database, Folder(directory), self.clock, **shape)


def envelope_of(event: Any) -> Envelope[Any]:
    return wrap(event, id="x", key="demo:e1", tenant="demo", occurred_at=event.at)


def make_clerk(database: Database, folder: Folder, clock: Clock, most: int = 1_000) -> Clerk:
    shape = Shape(5 * MINUTE, most, "GX01", "utf-8")
    return Clerk(
        database=database, folder=folder, shape=shape, recent=Recent(), term_ms=72 * 60 * MINUTE, clock=clock, tick_s=0.05
    )  # fmt: skip


@pytest_asyncio.fixture
async def office(postgres_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    await migrate(postgres_url, OWNERS["billing-sync"])
    database = Database(postgres_url, "billing", application="test")
    await database.open()
    clock, folder = Clock(), Folder(tmp_path / "billing")
    clerk = make_clerk(database, folder, clock)
    yield Office(database, folder, clock, clerk, ChargeOutcomes(clock), postgres_url, tmp_path)
    await database.close()


async def until(condition: Callable[[], Awaitable[bool] | bool], timeout: float = 30) -> None:
    async with asyncio.timeout(timeout):
        while True:
            value = condition()
            if await value if isinstance(value, Awaitable) else value:
                return
            await asyncio.sleep(0.05)


def answered(chunk: str, count: int, *, at: int = START, first: int = 0, segments: int = 1, resent: bool = False):
    keys = [(index, segment) for index in range(first, first + count) for segment in range(1, segments + 1)]
    return SegmentsAnswered(
        chunk_id=chunk, enterprise="e1", link="sim-1", slot=0, epoch=1, batch=1, at=at, protocol="smpp34", carrier="CMCC",
        indices=[i for i, _ in keys], segments=[s for _, s in keys], totals=[segments] * len(keys),
        statuses=[0] * len(keys), carrier_ids=[f"{i}-{s}" for i, s in keys],
        recipients=[8613800000000 + i for i, _ in keys], senders=["106900001"], task_ids=["t" * 32],
        resent=list(range(len(keys))) if resent else [],
    )  # fmt: skip


def reported(
    chunk: str, count: int, *, at: int = START, first: int = 0, segment: int = 1, state=SegmentState.DELIVERED
):
    indices = list(range(first, first + count))
    return SegmentsReported(
        chunk_id=chunk, enterprise="e1", link="sim-1", batch=1, at=at, indices=indices, segments=[segment] * count,
        totals=[1] * count, states=[state] * count, codes=["DELIVRD:000"] * count, done_at=[at] * count,
    )  # fmt: skip


@pytest.fixture
def make() -> SimpleNamespace:
    return SimpleNamespace(
        answered=answered,
        reported=reported,
        chunk=lambda: new_id(START, secrets.token_bytes(10)),
        until=until,
        envelope_of=envelope_of,
        start=START,
        minute=MINUTE,
    )
