"""A real carrier on a real socket (our engine in the server role), a real database, and a worker of dispatch between them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from effects import perform

from bus.handling import Effect
from bus.producer import RawOutgoing
from bus.records import Batch, RawRecord, Record
from carrier.dialect import Limits
from carrier.dialects import dialect
from carrier.events import Answered, BindRequested, Bound, Closed, SubmitReceived
from carrier.model import Mo, Refusal, Report, ReportState, Role, Submit
from carrier.session import Session, SessionConfig
from carrier.timetext import compact
from contracts import envelope, ids, topics
from contracts.chunk import Chunk, Entry
from contracts.events import ChunkReleased, TaskCancelled
from contracts.lanes import Lane
from dispatch.app import Worker
from dispatch.domain.linkconfig import LinkConfig, parse_links
from dispatch.settings import DispatchSettings
from links.tcp import LinkConnection, listen
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

SMPP = dialect("smpp34")
PASSWORD = "secret"


async def until(condition: Callable[[], Any], *, timeout: float = 60.0, what: str = "") -> Any:
    """Wait until ``condition()`` is true (it may be async) and return it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what or condition}"
        await asyncio.sleep(0.01)


@dataclass
class FakeCarrier:
    """A carrier's gateway.  Its behaviour is a set of knobs; what it saw is in lists."""

    window: int = 100
    status: Callable[[Submit, int], int | None] = lambda submit, n: 0
    """Result of the n-th submit (from 1); None answers nothing."""
    ids: Callable[[int], str] = lambda n: f"{n:010d}"
    max_sessions: int = 100
    receipts: bool = True
    receipt_state: ReportState = ReportState.DELIVERED
    receipt_first: bool = False
    """Receipt before the response."""
    receipt_twice: bool = False
    receipt_id: Callable[[str], str] = lambda text: text
    hold_receipts: bool = False
    submits: list[tuple[float, Submit]] = field(default_factory=list)
    receipts_answered: int = 0
    held: list[Report] = field(default_factory=list)
    connections: set[LinkConnection] = field(default_factory=set)
    bound: set[LinkConnection] = field(default_factory=set)
    most_bound: int = 0
    binds: int = 0
    binds_refused: int = 0
    port: int = 0
    server: asyncio.Server | None = None
    _token: int = 0

    async def start(self) -> FakeCarrier:
        limits = Limits(window=self.window, peer_window=5000, response=30, keepalive_idle=30)
        self.server = await listen(
            "127.0.0.1",
            0,
            lambda now, wall: Session(SMPP, Role.SERVER, SessionConfig(limits=limits), now, wall=wall),
            self._on_events,
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for connection in list(self.connections):
            connection.abort("test over")

    def cut(self) -> None:
        """Drop every connection without a word."""
        for connection in list(self.connections):
            connection.abort("cut")

    def contents(self) -> list[bytes]:
        return [submit.content for _, submit in self.submits]

    def numbers(self) -> list[str]:
        return [submit.destination for _, submit in self.submits]

    def most_in_one_second(self) -> int:
        times = [at for at, _ in self.submits]
        most, begin = 0, 0
        for end, at in enumerate(times):
            while times[begin] <= at - 1.0:
                begin += 1
            most = max(most, end - begin + 1)
        return most

    def deliver(self, item: Report | Mo, connection: LinkConnection | None = None) -> None:
        """Send a receipt or a message on any bound session, or on a given one."""
        connection = connection or next(iter(self.bound))
        self._token += 1
        connection.session.deliver([(self._token, item)], time.monotonic())
        connection.flush()

    def report_of(self, submit: Submit, message_id: str) -> Report:
        now = time.time()
        return Report(
            message_id=self.receipt_id(message_id),
            state=self.receipt_state,
            final=True,
            stat="DELIVRD",
            error="000",
            recipient=submit.destination,
            sender=submit.source,
            submitted=compact(now),
            done=compact(now),
        )

    def _on_events(self, connection: LinkConnection, events: list[Any]) -> None:
        self.connections.add(connection)
        for event in events:
            if isinstance(event, BindRequested):
                refusal = connection.session.check_bind(PASSWORD, time.monotonic())
                if refusal is None and len(self.bound) >= self.max_sessions:
                    refusal = Refusal.LIMIT
                self.binds_refused += refusal is not None
                for made in connection.session.answer_bind(refusal, time.monotonic()):
                    if isinstance(made, Bound):
                        self.binds += 1
                        self.bound.add(connection)
                        self.most_bound = max(self.most_bound, len(self.bound))
            elif isinstance(event, SubmitReceived):
                self._on_submit(connection, event)
            elif isinstance(event, Answered):
                self.receipts_answered += 1
            elif isinstance(event, Closed):
                self.bound.discard(connection)
                self.connections.discard(connection)

    def _on_submit(self, connection: LinkConnection, event: SubmitReceived) -> None:
        self.submits.append((time.monotonic(), event.submit))
        n = len(self.submits)
        status = self.status(event.submit, n)
        if status is None:
            return
        message_id = self.ids(n) if status == 0 else ""
        report = self.report_of(event.submit, message_id)
        if status == 0 and self.receipts and self.receipt_first:
            self.deliver(report, connection)
        connection.session.answer_many([(event.handle, status, message_id)])
        if status == 0 and self.receipts and not self.receipt_first:
            if self.hold_receipts:
                self.held.append(report)
            else:
                self.deliver(report, connection)
                if self.receipt_twice:
                    self.deliver(report, connection)


class Recorder:
    """Stands in for the bus: keeps what would be published.  The real one is in test_kafka.py."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def send_raw(self, records: list[RawOutgoing], *, timeout_s: float | None = None) -> None:
        self.events += [envelope.decode(record.value or b"") for record in records]

    async def send_batch(self, events: list[tuple[str, Any]], *, timeout_s: float | None = None) -> None:
        self.events += [event for _, event in events]

    def of(self, kind: type) -> list[Any]:
        return [e.data for e in self.events if isinstance(e.data, kind)]


class Running:
    """A worker with its tasks, without HTTP and without Kafka."""

    def __init__(self, worker: Worker, bus: Recorder) -> None:
        self.worker = worker
        self.bus = bus
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Running:
        await self.worker.prepare()
        w = self.worker
        for work in (
            w.pump.run,
            w.pump.claimer.run,
            w.publisher.run,
            w.relay.run,
            w.leases.run,
            w.sweeper.run,
            w.replies.run,
            w.resolver.run,
            w.neighbourhood.run,
        ):
            self.tasks.append(asyncio.create_task(work(), name=getattr(work, "__qualname__", "")))
        return self

    def check(self) -> None:
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise AssertionError(f"{task.get_name()} failed") from task.exception()

    async def crash(self) -> None:
        """Die without a word, as SIGKILL does: sockets closed by the kernel, the lock let go, nothing written."""
        for task in self.tasks:
            task.cancel()
        for link in self.worker.pump.links.values():
            if link.listener is not None:
                await self._hang_up(link.listener)
            for session in link.sessions.values():
                session._stopping = True
                if session._task is not None:
                    session._task.cancel()
                if session.connection is not None and session.connection._transport is not None:
                    session.connection._told_closed = True
                    session.connection._transport.abort()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.worker.close()

    async def _hang_up(self, listener: Any) -> None:
        if listener._server is not None:
            listener._server.close()
        for connection in list(listener.callers):
            connection._told_closed = True
            connection._transport.abort()

    async def stop(self) -> None:
        self.check()
        await self.worker.drain()
        await until(lambda: self.worker.publisher is not None)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.worker.close()

    async def release(
        self, chunk: Chunk, *, indices: list[int] | None = None, part: int = 0, traceparent: str = ""
    ) -> None:
        """Take a release in, as the consumer would."""
        data = ChunkReleased(
            release_id=ids.event_id(chunk.chunk_id, "released", part),
            chunk=chunk,
            released_at=int(time.time() * 1000),
            reason="direct",
            indices=indices,
        )
        topic = topics.lane_topic(topics.RELEASED, chunk.lane)
        await self.feed(self.worker.intake, topic, data, chunk, traceparent)

    async def cancel(self, chunk: Chunk, task_id: str) -> None:
        data = TaskCancelled(task_id=task_id, enterprise=chunk.enterprise, at=int(time.time() * 1000))
        await self.feed(self.worker.cancel, topics.CANCELLED, data, chunk)

    async def feed(self, handler: Any, topic: str, data: Any, chunk: Chunk, traceparent: str = "") -> Effect:
        event = envelope.wrap(
            data,
            id=ids.event_id(chunk.chunk_id, "test"),
            key=envelope.partition_key(chunk.tenant, chunk.enterprise),
            tenant=chunk.tenant,
            occurred_at=int(time.time() * 1000),
        )
        raw = RawRecord(topic, 0, 0, 0, b"", envelope.encode(event), ())
        batch = Batch(topic, chunk.lane, [Record(raw, event, traceparent)])
        return await perform(self.worker.database, handler, batch)


_SERIAL = iter(range(1, 1_000_000))


def make_chunk(
    n: int = 3,
    *,
    lane: Lane = Lane.NOTICE,
    text: str = "您的验证码是1234",
    enterprise: str = "acme",
    expires_in_s: float = 3600,
    not_before_ms: int = 0,
    task_id: str = "",
    port: str = "10655",
    first_number: int = 8613800000000,
) -> Chunk:
    now = int(time.time() * 1000)
    chunk_id = ids.new_id(now, next(_SERIAL).to_bytes(10, "big"))
    entry = Entry(
        task_id=task_id or ids.new_id(now, os.urandom(10)),
        first=0,
        count=n,
        port=port,
        pieces=[text],
        expires_at=now + int(expires_in_s * 1000),
        task_total=n,
        not_before=not_before_ms,
    )
    return Chunk(
        chunk_id=chunk_id,
        tenant="default",
        enterprise=enterprise,
        lane=lane,
        accepted_at=now,
        recipients=[first_number + i for i in range(n)],
        carriers="M" * n,
        entries=[entry],
    )


def link_of(carrier: FakeCarrier, name: str = "a", **settings: Any) -> LinkConfig:
    entry = {
        "name": name,
        "protocol": "smpp34",
        "host": "127.0.0.1",
        "port": carrier.port,
        "system_id": "gx",
        "password": PASSWORD,
        "rate": 100_000,
        "sessions": 1,
        "window": 50,
    }
    return parse_links([entry | settings])[0]


@pytest_asyncio.fixture
async def dispatch_database(postgres_url: str) -> AsyncIterator[Database]:
    await migrate(postgres_url, OWNERS["dispatch"])
    database = Database(postgres_url, "dispatch", application="test", max_size=8)
    await database.open()
    yield database
    await database.close()


@pytest_asyncio.fixture
async def carrier() -> AsyncIterator[FakeCarrier]:
    fake = await FakeCarrier().start()
    yield fake
    await fake.stop()


@pytest.fixture
def worker_of(dispatch_database: Database, tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(
        links: list[LinkConfig], *, instance: str = "dispatch-1", settings: dict[str, Any] | None = None
    ) -> AsyncIterator[Running]:
        bus = Recorder()
        told = DispatchSettings(
            instance=instance,
            state_dir=tmp_path / instance,
            watchdog=False,
            **({"quiet_hours": ""} | (settings or {})),
        )
        running = Running(Worker(told, dispatch_database, bus, links), bus)  # type: ignore[arg-type]
        await running.start()
        try:
            yield running
        finally:
            if not all(task.done() for task in running.tasks):
                await running.stop()

    return make


@pytest.fixture
def tools() -> Any:
    """The helpers of this folder, for tests that cannot import a conftest."""

    class Tools:
        pass

    for helper in (until, make_chunk, link_of, FakeCarrier, Recorder, Running):
        setattr(Tools, helper.__name__, staticmethod(helper) if not isinstance(helper, type) else helper)
    return Tools
