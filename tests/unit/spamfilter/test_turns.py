"""Lanes are screened side by side, an enterprise's batches one after the other."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from bus.records import Batch, RawRecord, Record
from contracts.chunk import Chunk, Entry
from contracts.envelope import partition_key, wrap
from contracts.events.ingest import ChunkAccepted
from contracts.lanes import Lane
from spamfilter.domain.caps import Limits
from spamfilter.domain.chunks import Policy
from spamfilter.domain.codes import CodeTemplates
from spamfilter.handlers.screen import ScreenChunks, WindowSettings
from spamfilter.handlers.turns import Turns

AT = 1_700_000_000_000


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Steps:
    """Names that are inside, in the order they came in."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.inside: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, name: str, *keys: str) -> None:
        self.leave[name] = asyncio.Event()
        self.tasks.append(asyncio.create_task(self._stay(name, keys)))

    async def _stay(self, name: str, keys: tuple[str, ...]) -> None:
        async with self.turns.of(keys) if keys else self.turns.alone():
            self.inside.append(name)
            await self.leave[name].wait()
        self.inside.remove(name)

    async def end(self, name: str) -> None:
        self.leave[name].set()
        await _settled()


@pytest.fixture
async def steps():
    made = Steps(Turns())
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_different_names_go_side_by_side_and_equal_ones_wait(steps):
    steps.begin("bulk", "a", "b")
    steps.begin("code", "c")
    steps.begin("code of a", "a", "c")
    await _settled()
    assert steps.inside == ["bulk", "code"]
    await steps.end("bulk")
    assert steps.inside == ["code"]
    await steps.end("code")
    assert steps.inside == ["code of a"]


async def begin_in_turn(steps: Steps) -> None:
    """Bulk is inside, a rebuild waits for it, and a code of another enterprise comes last."""
    for name, *keys in (("bulk", "a"), ("rebuild",), ("code", "c")):
        steps.begin(name, *keys)
        await _settled()


async def test_who_wants_all_waits_for_all_and_lets_nobody_past(steps):
    await begin_in_turn(steps)
    assert steps.inside == ["bulk"]
    await steps.end("bulk")
    assert steps.inside == ["rebuild"]
    await steps.end("rebuild")
    assert steps.inside == ["code"]


async def test_who_gives_up_waiting_for_all_stops_nobody(steps):
    await begin_in_turn(steps)
    steps.tasks[1].cancel()
    await _settled()
    assert steps.inside == ["bulk", "code"]


class Slow:
    """A producer that acknowledges when told."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.acknowledge = asyncio.Event()

    async def send_batch(self, events, *, express=False):
        self.sent += [event.data.chunk.enterprise for _, event in events if hasattr(event.data, "chunk")]
        if not express and not all(topic.endswith("verification") for topic, _ in events):
            await self.acknowledge.wait()


class Empty:
    """A log in which nothing was counted; it takes a moment to say so."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, partition, since_ms):
        self.reads += 1
        await asyncio.sleep(0)
        for event in ():
            yield event


def batch(lane: Lane, enterprise: str, number: int, at: int = AT) -> Batch:
    entry = Entry(
        first=0,
        count=1,
        task_id="t",
        pieces=["【关心】您的验证码是123456，5分钟内有效"],
        port="106900001",
        expires_at=1,
        task_total=1,
    )
    chunk = Chunk(
        chunk_id=f"{number:032x}", tenant="demo", enterprise=enterprise, lane=lane, accepted_at=at,
        recipients=[8613800000000], carriers="M", entries=[entry],
    )  # fmt: skip
    key = partition_key("demo", enterprise)
    event = wrap(ChunkAccepted(chunk=chunk), id=f"{number}", key=key, tenant="demo", occurred_at=at)
    raw = RawRecord(f"ingest.accepted.{lane.value}", 0, number, at, b"", b"", ())
    return Batch(raw.topic, lane, [Record(raw, event, "")])


async def test_a_code_of_another_enterprise_does_not_wait_for_bulk_to_be_acknowledged(matcher):
    producer, counted = Slow(), Empty()
    handler = ScreenChunks(
        policy=SimpleNamespace(current=Policy(matcher, CodeTemplates([]))),
        producer=producer,
        counted_log=counted,
        clock=SimpleNamespace(wall_ms=lambda: AT),
        windows=WindowSettings(300_000, Limits()),
    )
    bulk = asyncio.create_task(handler.handle(batch(Lane.NOTICE, "power", 1)))
    await _settled()
    assert counted.reads == 1
    other = asyncio.create_task(handler.handle(batch(Lane.VERIFICATION, "bank", 2)))
    same = asyncio.create_task(handler.handle(batch(Lane.VERIFICATION, "power", 3)))
    older = asyncio.create_task(handler.handle(batch(Lane.VERIFICATION, "bank", 4, AT - 3_600_000)))
    await _settled()
    assert other.done()
    # One that shares its windows waits, and so does one whose history has to be read again: the state would be replaced.
    assert not same.done()
    assert not older.done()
    assert not bulk.done()
    producer.acknowledge.set()
    await asyncio.wait_for(asyncio.gather(bulk, same, older), 5)
    assert counted.reads == 2
    assert "bank" in producer.sent
    assert "power" in producer.sent
