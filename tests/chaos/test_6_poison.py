"""What nobody can read on every topic, a disk that fills up, and a wall clock that jumps."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from chaos.stage import Stage, stage

from bus import deadletters
from contracts.topics import SERVICES, TOPICS
from guanxin.stack import paths

KEY = b"demo:demo"
MEGABYTE = 1024 * 1024
FILL_OCTETS = 256 * MEGABYTE
HOUR_S = 3_600


def _unreadable(topic: str) -> list[bytes | None]:
    """Return what is not JSON, not an envelope, of no known type, of another version, and an event without its data."""
    event = TOPICS[topic].events[0]
    head = {"id": "x:poison:0", "type": event, "version": 1, "key": "demo:demo", "tenant": "demo"}
    envelope = {**head, "occurred_at": 1, "traceparent": ""}
    return [
        b"\x00\xff\xfe garbage",
        b'{"half": ',
        json.dumps({**envelope, "type": "Nonsense", "data": {}}).encode(),
        json.dumps({**envelope, "version": 99, "data": {}}).encode(),
        json.dumps({**envelope, "data": {"chunk": None, "chunk_id": 7}}).encode(),
        b"[" * 50_000,
    ]


async def test_unreadable_records_on_every_topic(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "6a unreadable records on every topic") as s:
        await s.moment(0.2, 0.4)
        broker = s.stack.document["kafka"]["bootstrap_servers"]
        restarts = {item["name"]: item["restarts"] for item in (await s.status())["components"]}
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        made = s.fault("six unreadable records on every topic")
        expected: Counter[str] = Counter()
        try:
            for name, topic in TOPICS.items():
                if not topic.events:
                    continue
                for value in _unreadable(name):
                    await producer.send_and_wait(name, value, key=KEY)
                # The sender counts are read back at an assignment only: what cannot be read there is passed over.
                expected.update({service: 6 for service in topic.consumers if name != "spamfilter.counted"})
        finally:
            await producer.stop()

        async def buried() -> bool:
            found = {service: len(await _letters(broker, service)) for service in SERVICES}
            s.notes["dead letters"] = found
            return all(found[service] >= expected[service] for service in expected)

        await s.until(buried, f"not everything was buried: {expected}, {s.notes}", 240)
        made.ready_s = time.monotonic() - made.at
        holds(await s.settle())
        document = await s.status()
        assert restarts == {item["name"]: item["restarts"] for item in document["components"]}, "something died of it"
        assert s.notes["dead letters"] == dict.fromkeys(SERVICES, 0) | dict(expected)


async def _letters(broker: str, service: str) -> list[deadletters.Letter]:
    return await deadletters.list_letters(broker, service, limit=10_000)


async def test_disk_full(open_path: Path, holds) -> None:
    """A file system ingest watches runs full: nothing more is accepted, what was accepted goes on, and all by itself again."""
    watched = "/dev/shm"  # a memory file system: filling it to a limit harms nobody else
    status = os.statvfs(watched)
    least = status.f_bavail * status.f_frsize - FILL_OCTETS // 2
    settings = {"GUANXIN_DISK_PATHS": f'[\\"{watched}\\"]', "GUANXIN_DISK_MIN_FREE_OCTETS": str(least)}
    async with stage(open_path / "s", "6b disk full", environment=settings) as s:
        await s.moment(0.2, 0.4)
        made = s.fault("the watched file system runs full for 10 s")
        with _filled(watched):
            await s.until(lambda: _refused(s), "a full disk was not refused", 60)
            made.what += f", refused after {time.monotonic() - made.at:.1f} s"
            await asyncio.sleep(10)
        made.at = time.monotonic()
        await s.until(lambda: _ready(s), "ingest did not come back", 60)
        made.ready_s = time.monotonic() - made.at
        figures = await s.settle()
        holds(figures)
        assert figures.retries.get("503"), "nothing was refused while the disk was full"


@contextmanager
def _filled(folder: str) -> Iterator[None]:
    """Take `FILL_OCTETS` of the file system ``folder`` is on while the block runs."""
    filler = Path(folder, f"guanxin-chaos-{os.getpid()}")
    try:
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, FILL_OCTETS)
        yield
    finally:
        filler.unlink(missing_ok=True)


async def _refused(s: Stage) -> bool:
    headers = {"Authorization": f"Bearer {s.stack.key}"}
    body = {"port": "95598", "to": "12", "content": "x"}
    answer = await s.http.post("/v1/messages", json=body, headers=headers)
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.json()["code"] == "disk_low"


async def _ready(s: Stage) -> bool:
    return (await s.http.get("/health/ready")).status_code == httpx.codes.OK


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
async def test_clock_jump(open_path: Path, holds, jump_s: int) -> None:
    """The wall clock of every service jumps by an hour (`clockjump/sitecustomize.py`); the engines' clocks stay."""
    where = open_path / "offset"
    where.write_text("0", encoding="utf-8")
    search = [str(Path(__file__).parent / "clockjump"), *map(str, paths.import_roots())]
    settings = {"PYTHONPATH": os.pathsep.join(search), "GUANXIN_CHAOS_CLOCK": str(where)}
    direction = "forward" if jump_s > 0 else "back"
    async with stage(open_path / "s", f"6c clock jumps {direction} by an hour", environment=settings) as s:
        await s.moment(0.2, 0.4)
        s.fault(f"wall clock of all services {jump_s:+} s")
        _set_clock(where, jump_s)
        await asyncio.sleep(15)
        if jump_s < 0:
            # What was charged before the jump is dated after now, and files are made of the past: set it right again.
            s.fault("wall clock of all services right again")
            _set_clock(where, 0)
        holds(await s.settle())


def _set_clock(where: Path, offset_s: int) -> None:
    replacement = where.with_suffix(".new")
    replacement.write_text(str(offset_s), encoding="utf-8")
    replacement.replace(where)
