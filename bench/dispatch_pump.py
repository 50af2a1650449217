"""Messages a second through dispatch's pump: queue in PostgreSQL, journal commits, codec, sessions on real sockets, receipts.

    python bench/dispatch_pump.py [--messages 100000] [--sessions 4] [--window 100] [--no-receipts] [--text long]

Needs GUANXIN_TEST_POSTGRES (a superuser's address); makes a database of its own and drops it.  The carrier runs in another process
(our own engine, server role).  Events go to GUANXIN_TEST_KAFKA when it is set, else they are counted only.  At most 90 s.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import uvloop

from carrier.dialect import Limits
from carrier.dialects import dialect
from carrier.events import BindRequested, SubmitReceived
from carrier.model import Report, ReportState, Role
from carrier.session import Session, SessionConfig
from carrier.timetext import compact
from contracts import ids
from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.app import Worker
from dispatch.domain.linkconfig import parse_links
from dispatch.domain.work import Head
from dispatch.handlers.claiming import pack
from dispatch.settings import DispatchSettings
from dispatch.store import arrivals
from dispatch.store.arrivals import Arrivals, Item
from links.tcp import LinkConnection, listen
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

LIMIT_S = 90.0


def carrier_process(port: multiprocessing.Queue, window: int, receipts: bool) -> None:  # type: ignore[type-arg]
    """A carrier that accepts everything and reports it delivered."""
    uvloop.run(_carrier(port, window, receipts))


async def _carrier(port: multiprocessing.Queue, window: int, receipts: bool) -> None:  # type: ignore[type-arg]
    smpp = dialect("smpp34")
    limits = Limits(window=100_000, peer_window=100_000)
    count = 0
    stamp = compact(time.time())

    def on_events(connection: LinkConnection, events: list[object]) -> None:
        nonlocal count
        session = connection.session
        answers, reports = [], []
        for event in events:
            if type(event) is SubmitReceived:
                count += 1
                message_id = f"{count:010d}"
                answers.append((event.handle, 0, message_id))
                if receipts:
                    submit = event.submit
                    reports.append(
                        (
                            count,
                            Report(
                                message_id=message_id,
                                state=ReportState.DELIVERED,
                                final=True,
                                stat="DELIVRD",
                                error="000",
                                recipient=submit.destination,
                                sender=submit.source,
                                submitted=stamp,
                                done=stamp,
                            ),
                        )
                    )
            elif isinstance(event, BindRequested):
                session.check_bind("secret", time.monotonic())
                session.answer_bind(None, time.monotonic())
        if answers:
            session.answer_many(answers)
        if reports:
            session.deliver(reports, time.monotonic())

    server = await listen(
        "127.0.0.1",
        0,
        lambda now, wall: Session(smpp, Role.SERVER, SessionConfig(limits=limits), now, wall=wall),
        on_events,  # type: ignore[arg-type]
    )
    port.put(server.sockets[0].getsockname()[1])
    gc.freeze()
    await asyncio.Event().wait()


class Counting:
    """Stands in for the bus when none is given."""

    def __init__(self) -> None:
        self.events = 0
        self.octets = 0

    async def send_raw(self, records: list, *, timeout_s: float | None = None) -> None:  # type: ignore[type-arg]
        self.events += len(records)
        self.octets += sum(len(r.value or b"") for r in records)


def chunk_of(size: int, number: int, text: str) -> Chunk:
    now = int(time.time() * 1000)
    entry = Entry(
        task_id="0" * 32,
        first=0,
        count=size,
        port="10655795598",
        pieces=[text, "元，请于月底前缴纳。【电力】"],
        slots=[0],
        variables=[[f"{i}.{i % 100:02d}"] for i in range(size)],
        expires_at=now + 3_600_000,
        task_total=size,
    )
    return Chunk(
        chunk_id=ids.new_id(now, number.to_bytes(10, "big")),
        tenant="default",
        enterprise=f"e{number % 5}",
        lane=Lane.NOTICE,
        accepted_at=now,
        recipients=[8613800000000 + number * 500 + i for i in range(size)],
        carriers="M" * size,
        entries=[entry],
    )


async def fill(database: Database, messages: int, group: str, text: str) -> None:
    now = int(time.time() * 1000)
    for first in range(0, messages // 500, 100):
        found = Arrivals()
        for number in range(first, min(first + 100, messages // 500)):
            chunk = chunk_of(500, number, text)
            ekey = f"default:{chunk.enterprise}"
            head = Head(f"{chunk.chunk_id}:released:0", chunk.chunk_id, "default", chunk.enterprise, ekey, 1, "")
            place = found.release(head, ["0" * 32], pack(chunk))
            found.items.append((place, Item(group, 0, now + 3_600_000, list(range(500)))))
        await database.fetchrow(arrivals.SQL, *found.args(now))


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def server_cpu(database: Database) -> float:
    """Return the CPU seconds of the database's server, all its processes together."""
    postmaster = psutil.Process(await database.fetchval("select pg_backend_pid()")).parent()
    assert postmaster is not None
    return sum(sum(one.cpu_times()[:2]) for one in [postmaster, *postmaster.children()])


async def run(options: argparse.Namespace, dsn: str) -> None:
    await migrate(dsn, OWNERS["dispatch"])
    database = Database(dsn, "dispatch", application="bench")
    await database.open()
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    carrier = context.Process(
        target=carrier_process, args=(ports, options.window, not options.no_receipts), daemon=True
    )
    carrier.start()
    port = await asyncio.to_thread(ports.get, True, 60)
    links = parse_links(
        [
            {
                "name": "bench",
                "host": "127.0.0.1",
                "port": port,
                "system_id": "gx",
                "password": "secret",
                "rate": options.rate,
                "sessions": options.sessions,
                "window": options.window,
            }
        ]
    )
    text = "尊敬的客户，您本月电费为" if options.text == "short" else "尊敬的客户，您本月电费为" * 12
    await fill(database, options.messages, links[0].group, text)
    bus: object = Counting()
    if os.environ.get("GUANXIN_TEST_KAFKA") and options.kafka:
        from bus.producer import Producer

        bus = Producer(os.environ["GUANXIN_TEST_KAFKA"], client_id="bench")
        await bus.start()
    settings = DispatchSettings(instance="bench", state_dir=Path(tempfile.mkdtemp()), watchdog=False, quiet_hours="")
    worker = Worker(settings, database, bus, links)  # type: ignore[arg-type]
    await worker.prepare()
    tasks = [
        asyncio.create_task(work())
        for work in (worker.pump.run, worker.pump.claimer.run, worker.publisher.run, worker.leases.run)
    ]
    segments = await _measure(database, worker, options, tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await worker.close()
    carrier.kill()
    if hasattr(bus, "close"):
        await bus.close()
    await database.close()
    del segments


async def _measure(database: Database, worker: Worker, options: argparse.Namespace, tasks: list) -> int:  # type: ignore[type-arg]
    begun = cpu_begun = None
    limit = time.monotonic() + LIMIT_S
    wanted = options.messages // 500 * 500
    from dispatch import metrics

    def total(metric: object, **labels: str) -> float:
        return sum(
            s.value
            for m in metric.collect()  # type: ignore[attr-defined]
            for s in m.samples
            if s.name.endswith("_total") and all(s.labels.get(k) == v for k, v in labels.items())
        )

    cycles = total(metrics.CYCLES)
    while time.monotonic() < limit:
        await asyncio.sleep(0.01)
        for task in tasks:
            if task.done():
                task.result()
        answered = total(metrics.ANSWERED, outcome="ok")
        if begun is None and answered:
            begun, cpu_begun, first = time.monotonic(), cpu(), answered
            server_begun = await server_cpu(database)
            gc.collect()
            gc.freeze()
        done = total(metrics.RECEIPTS, matched="matched") if not options.no_receipts else answered
        if done >= wanted:
            break
    assert begun is not None
    assert cpu_begun is not None
    seconds = time.monotonic() - begun
    count = done - (first if options.no_receipts else 0)
    used = cpu() - cpu_begun
    server = await server_cpu(database) - server_begun
    cycles = total(metrics.CYCLES) - cycles
    print(f"messages            {count:,.0f} of {wanted:,} in {seconds:.2f} s")
    print(f"rate                {count / seconds:,.0f} messages/s with{'out' if options.no_receipts else ''} receipts")
    print(f"dispatch CPU        {used / count * 1e6:.1f} us/message ({used / seconds * 100:.0f} % of a core)")
    print(f"PostgreSQL CPU      {server / count * 1e6:.1f} us/message")
    print(f"cycles              {cycles:,.0f}, {count / max(1, cycles):.0f} messages each")
    print(f"peak memory         {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return int(count)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--no-receipts", action="store_true")
    parser.add_argument("--kafka", action="store_true")
    parser.add_argument("--text", choices=["short", "long"], default="short")
    options = parser.parse_args()
    url = os.environ.get("GUANXIN_TEST_POSTGRES")
    if not url:
        print("GUANXIN_TEST_POSTGRES is not set", file=sys.stderr)
        return 2
    name = f"bench_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(url)
    await admin.execute(f"create database {name} template template0")
    try:
        await run(options, urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()
    return 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
