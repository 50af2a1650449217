"""A migrated review schema on real PostgreSQL, a clock that stands, and makers of screened chunks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from effects import perform
from fastapi import FastAPI

from bus.records import Batch, RawRecord, Record
from console.accounts import Role
from console.assets import VENDOR
from contracts import envelope, ids
from contracts.chunk import Chunk, Entry
from contracts.events.review import ChunkReleased, MessagesDecided
from contracts.events.spamfilter import ChunkScreened, Judgement
from contracts.lanes import Lane
from review.app import Rules, attach_console
from review.domain.hours import Hours
from review.domain.policy import PortPolicy, Tier, Window
from review.handlers.gate import Gate
from review.settings import ReviewSettings
from review.store import policies
from review.store.policies import PolicyStore
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate

NOON = 1_763_870_400_000
"""2025-11-23 12:00 in Shanghai, a Sunday."""

WHOLE_DAY = Hours(Window(0, 1440), every_day=True)


class StandingClock:
    """A clock that moves only when told."""

    def __init__(self, now_ms: int = NOON) -> None:
        self.now_ms = now_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic(self) -> float:
        return self.now_ms / 1_000

    def advance(self, ms: int) -> None:
        self.now_ms += ms


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    await migrate(postgres_url, OWNERS["review"])
    database = Database(postgres_url, "review", application="test-review")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


def new_id(clock: StandingClock) -> str:
    return ids.new_id(clock.now_ms, secrets.token_bytes(10))


@dataclass
class Maker:
    """Makes chunks as ingest and spamfilter would."""

    clock: StandingClock
    port: str = "10655001"
    tenant: str = "t1"
    enterprise: str = "e1"
    lane: Lane = Lane.NOTICE

    def id(self) -> str:
        return new_id(self.clock)

    def entry(self, text: str, count: int = 1, *, first: int = 0, task: str | None = None, **more: Any) -> Entry:
        more.setdefault("task_total", count)
        return Entry(
            task_id=task or self.id(),
            first=first,
            count=count,
            port=more.pop("port", self.port),
            pieces=more.pop("pieces", [text]),
            expires_at=more.pop("expires_at", self.clock.now_ms + 86_400_000),
            **more,
        )

    def chunk(self, entries: Sequence[Entry]) -> Chunk:
        size = sum(entry.count for entry in entries)
        return Chunk(
            chunk_id=self.id(),
            tenant=self.tenant,
            enterprise=self.enterprise,
            lane=self.lane,
            accepted_at=self.clock.now_ms,
            recipients=[8613800000000 + n for n in range(size)],
            carriers="M" * size,
            entries=list(entries),
        )

    def screened(self, entries: Sequence[Entry], judgements: Sequence[Judgement] = (), **more: Any) -> ChunkScreened:
        return ChunkScreened(self.chunk(entries), "r1", self.clock.now_ms, list(judgements), **more)

    def task(self, text: str, total: int, *, size: int = 500, **more: Any) -> list[ChunkScreened]:
        """One task cut into chunks."""
        task = self.id()
        counts = [min(size, total - start) for start in range(0, total, size)]
        return [
            self.screened([self.entry(text, n, task=task, task_total=total, task_chunks=len(counts), **more)])
            for n in counts
        ]

    def singles(self, text: str | Callable[[int], str], number: int, *, size: int = 500) -> list[ChunkScreened]:
        """Single requests gathered into micro-chunks."""
        made = []
        for start in range(0, number, size):
            texts = [text if isinstance(text, str) else text(n) for n in range(start, min(start + size, number))]
            made.append(self.screened([self.entry(t, first=i) for i, t in enumerate(texts)]))
        return made


@pytest.fixture
def make(clock: StandingClock) -> Maker:
    return Maker(clock)


def batch_of(events: Sequence[Any], lane: Lane = Lane.NOTICE, topic: str = "spamfilter.screened.notice") -> Batch:
    records = []
    for offset, event in enumerate(events):
        chunk = getattr(event, "chunk", None)
        tenant = chunk.tenant if chunk is not None else "t1"
        wrapped = envelope.wrap(event, id=f"e{offset}", key=f"{tenant}:e1", tenant=tenant, occurred_at=NOON)
        records.append(Record(RawRecord(topic, 0, offset, NOON, b"k", b"", ()), wrapped, ""))
    return Batch(topic, lane, records)


@dataclass
class Passed:
    """What a gate said to a batch."""

    events: list[tuple[str, envelope.Envelope[Any]]]
    invalid: list[Any] = field(default_factory=list)

    @property
    def released(self) -> list[ChunkReleased]:
        return [e.data for _, e in self.events if isinstance(e.data, ChunkReleased)]

    @property
    def decided(self) -> list[MessagesDecided]:
        return [e.data for _, e in self.events if isinstance(e.data, MessagesDecided)]

    def released_messages(self) -> int:
        return sum(len(r.chunk.recipients) if r.indices is None else len(r.indices) for r in self.released)


@dataclass
class Bench:
    """A gate on a database."""

    database: Database
    clock: StandingClock
    gate: Gate

    async def pass_through(self, events: Sequence[Any], lane: Lane = Lane.NOTICE) -> Passed:
        effect = await perform(self.database, self.gate, batch_of(events, lane))
        return Passed(list(effect.publish), list(effect.invalid))

    async def policy(self, port: str, tier: Tier, **more: Any) -> None:
        async with self.database.transaction() as tx:
            policy = PortPolicy(port, tier, enterprise=more.pop("enterprise", "e1"), **more)
            await policies.put_port(tx, "t1", policy, at_ms=self.clock.now_ms, by="admin")

    async def held(self) -> dict[str, dict[str, Any]]:
        rows = await self.database.fetch("select * from item")
        return {row["task_id"]: dict(row) for row in rows}


def new_gate(clock: StandingClock, hours: Hours = WHOLE_DAY, *, refuse: bool = True) -> Gate:
    return Gate(
        PolicyStore(Tier.HIGH, 50),
        clock,
        hours,
        Window(8 * 60, 21 * 60),
        split_window_minutes=10,
        refuse_outside_hours=refuse,
    )


@pytest.fixture
def bench(database: Database, clock: StandingClock) -> Bench:
    return Bench(database, clock, new_gate(clock))


@pytest.fixture
def gate_factory() -> Callable[..., Gate]:
    return new_gate


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    return batch_of


@dataclass
class ServedConsole:
    """The API and the pages on a database of the module's own; ``tasks`` are held but the last, which is approved."""

    app: FastAPI
    database: Database
    clock: StandingClock
    tasks: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedConsole]:
    await migrate(module_postgres_url, OWNERS["review"])
    assets = tmp_path_factory.mktemp("assets")
    for name in VENDOR:
        (assets / name).parent.mkdir(parents=True, exist_ok=True)
        (assets / name).write_text("/* a stand-in: these tests read no page's looks */")
    settings = ReviewSettings(
        database_url=module_postgres_url,
        state_dir=tmp_path_factory.mktemp("state"),
        review_hours="00:00-24:00",
        review_every_day=True,
        review_sending_window="00:00-24:00",
        review_tenant="t1",
        assets_dir=assets,
        operator_token="gxop_test",
        logins=[{"user": role.value, "role": role.value, "password": f"{role.value}-secret-1"} for role in Role],
    )
    clock = StandingClock()
    runtime = Runtime(settings, clock=clock)
    database = Database.of(settings, "review")
    await database.open()
    runtime.on_close(database.close)
    app = await attach_console(runtime, settings, database, Rules.of(settings))
    bench, make = Bench(database, clock, new_gate(clock)), Maker(clock)
    held = [make.task(f"【关心】第{n}次停电通知", 60 + n, size=500) for n in range(40)]
    await bench.pass_through([chunk for task in held for chunk in task])
    tasks = [task[0].chunk.entries[0].task_id for task in held]
    await database.execute(
        "update item set state = 'approved', decided_by = 'x', decided_at = 1, due_at = 2 where task_id = $1", tasks[-1]
    )
    yield ServedConsole(app, database, clock, tasks)

    async def nothing() -> None:
        """There is no server of ours to stop."""

    await runtime.shut_down(nothing)
