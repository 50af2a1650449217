"""Sessions and rate belong to one worker at a time; a zombie can do nothing; a backlog stays in the table."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from contracts.events.dispatch import SegmentsAnswered, SegmentsReported
from contracts.lanes import Lane
from dispatch.store import slots
from dispatch.store.journal import FencedError


def delivered(*running) -> int:
    return sum(len(e.indices) for r in running for e in r.bus.of(SegmentsReported))


async def test_two_workers_share_the_sessions_and_the_rate(carrier, worker_of, tools, dispatch_database):
    link = tools.link_of(carrier, sessions=3, rate=500, window=50)
    carrier.max_sessions = 3
    async with worker_of([link]) as first:
        await tools.until(lambda: first.check() or len(carrier.bound) == 3)
        await first.release(tools.make_chunk(500))
        await tools.until(lambda: first.check() or len(carrier.submits) > 100)
        async with worker_of([link], instance="dispatch-2") as second:
            for n in range(7):
                await first.release(tools.make_chunk(500, enterprise=f"b{n}"))
            await tools.until(lambda: second.check() or len(second.worker.pump.links.get("a", _Nothing).sessions) == 1)
            await tools.until(lambda: first.check() or second.check() or delivered(first, second) == 4000)
            owners = await dispatch_database.fetch("select owner, sum(tokens) t from session_slot group by owner")
            assert sum(row["t"] for row in owners) <= 500
            assert second.bus.of(SegmentsAnswered), "the second worker sent its share"
    assert carrier.most_bound <= 3
    assert carrier.binds_refused == 0
    assert carrier.most_in_one_second() <= 500
    assert len(carrier.submits) == 4000


async def test_links_kept_together_are_handed_over_whole(carrier, worker_of, tools, dispatch_database):
    links = [tools.link_of(carrier, name, sessions=2, workers=1, group="g") for name in ("a", "b")]
    async with worker_of(links) as first:
        await tools.until(lambda: first.check() or len(carrier.bound) == 4)
        async with worker_of(links, instance="dispatch-2") as second:
            for n in range(10):
                await first.release(tools.make_chunk(200, enterprise=f"b{n}"))
            await tools.until(lambda: second.check() or len(held(second)) == 2)
            await tools.until(lambda: first.check() or second.check() or delivered(first, second) == 2000)
            assert sorted([*held(first), *held(second)]) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
            assert len({link for link, _ in held(second)}) == 1
        await tools.until(lambda: first.check() or len(held(first)) == 4)
    assert carrier.binds_refused == 0
    assert len(carrier.submits) == 2000


def held(running) -> list[tuple[str, int]]:
    return [(name, slot) for name, link in running.worker.pump.links.items() for slot in link.sessions]


class _Nothing:
    sessions = ()


async def test_the_agreed_rate_is_never_exceeded_in_any_second(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier, rate=100, sessions=2, window=50)]) as running:
        await running.release(tools.make_chunk(350))
        await tools.until(lambda: running.check() or delivered(running) == 350)
        assert 0 < carrier.most_in_one_second() <= 100


async def test_an_old_epoch_cannot_grant(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        async with dispatch_database.transaction() as tx:
            row = await tx.fetchrow("select epoch, beat from session_slot")
            assert await slots.acquire(tx, "a", 1, row["epoch"], row["beat"], "somebody-else")
        await running.release(tools.make_chunk(3))
        tasks = {task.get_name(): task for task in running.tasks}
        done, _ = await asyncio.wait(
            [t for name, t in tasks.items() if "Pump" in name or "Leases" in name],
            timeout=10,
            return_when=asyncio.FIRST_EXCEPTION,
        )
        assert any(isinstance(task.exception(), FencedError) for task in done)
        assert not carrier.submits
        await running.crash()


async def test_a_frozen_owners_slot_is_taken_after_it_stood_still(
    carrier, worker_of, tools, dispatch_database, monkeypatch
):
    from dispatch.domain import leases

    monkeypatch.setattr(leases, "FROZEN_S", 2.0)
    link = tools.link_of(carrier)
    async with dispatch_database.transaction() as tx:
        await slots.upsert_links(dispatch_database, [link])
        await tx.execute("update session_slot set owner = 'a-machine-that-burnt:1', epoch = 4, beat = 9")
    async with worker_of([link]) as running:
        begun = time.monotonic()
        await running.release(tools.make_chunk(3))
        await tools.until(lambda: running.check() or delivered(running) == 3)
        assert time.monotonic() - begun > 2.0
        assert await dispatch_database.fetchval("select epoch from session_slot") == 5


async def test_a_backlog_stays_in_the_table(carrier, worker_of, tools, dispatch_database):
    link = tools.link_of(carrier, rate=50, window=20)
    async with worker_of([link]) as running:
        for part in range(20):
            await running.release(tools.make_chunk(500, enterprise=f"e{part % 4}"))
        await tools.until(lambda: running.check() or len(carrier.submits) > 20)
        loaded = sum(len(queue) for link in running.worker.pump.links.values() for queue in link.queues)
        assert loaded <= 16
        left = await dispatch_database.fetchval("select sum(n - pos) from item")
        assert left > 9_500


async def test_a_code_overtakes_a_running_task(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier, rate=200, window=20)]) as running:
        for _ in range(6):
            await running.release(tools.make_chunk(500, lane=Lane.MARKETING))
        await tools.until(lambda: running.check() or len(carrier.submits) > 50)
        overtaken = []
        for n in range(10):
            number = str(8613911110000 + n)
            before = len(carrier.submits)
            await running.release(tools.make_chunk(1, lane=Lane.VERIFICATION, first_number=int(number)))
            await tools.until(lambda number=number: running.check() or number in carrier.numbers())
            overtaken.append(carrier.numbers().index(number) - before)
        # Of 3,000 queued before it, only what the rate let go while it was stored and committed.
        assert sorted(overtaken)[5] < 100, overtaken


async def test_a_code_goes_at_once_while_bulk_rests_for_its_sake(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier, rate=1_000, window=20)]) as running:
        pump = running.worker.pump
        await running.release(tools.make_chunk(30, lane=Lane.MARKETING))
        await tools.until(lambda: running.check() or len(carrier.submits) == 30)
        rest_s = 60.0
        pump.courtesy.rest = lambda now: rest_s
        await running.release(tools.make_chunk(500, lane=Lane.MARKETING))
        for n in range(25):  # more than the window: answers are taken in although bulk rests
            number = str(8613911110000 + n)
            await running.release(tools.make_chunk(1, lane=Lane.VERIFICATION, first_number=int(number)))
            await tools.until(lambda number=number: running.check() or number in carrier.numbers())
        assert len(carrier.submits) == 30 + 25
        # Claimed with its intake: the release's item never was anybody's to claim.
        assert await dispatch_database.fetchval("select count(*) from item where lane = 0") == 0
        rest_s = 0.0
        await tools.until(lambda: running.check() or len(carrier.submits) == 30 + 25 + 500)


async def test_slow_codes_make_bulk_rest_and_late_ones_do_not(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier, rate=1_000, window=20)]) as running:
        courtesy = running.worker.pump.courtesy

        async def code(n: int, age_ms: int, not_before_ms: int = 0) -> None:
            chunk = tools.make_chunk(1, lane=Lane.VERIFICATION, first_number=8613911110000 + n)
            at = int(time.time() * 1000)
            entry = msgspec.structs.replace(chunk.entries[0], not_before=at - not_before_ms if not_before_ms else 0)
            await running.release(msgspec.structs.replace(chunk, accepted_at=at - age_ms, entries=[entry]))
            await tools.until(lambda: running.check() or str(8613911110000 + n) in carrier.numbers())

        await code(1, 5_000)  # held by a person
        await code(2, 900, not_before_ms=100)  # meant for later
        assert courtesy.rest(time.monotonic()) == 0.0
        await code(3, 900)
        assert courtesy.rest(time.monotonic()) > 0.0


async def test_enterprises_share_a_class(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier, rate=400, window=50)]) as running:
        for _ in range(3):
            await running.release(tools.make_chunk(500, enterprise="large"))
        await tools.until(lambda: running.check() or len(carrier.submits) > 50)
        await running.release(tools.make_chunk(100, enterprise="small", first_number=8613900000000))
        await tools.until(lambda: running.check() or sum(n.startswith("86139") for n in carrier.numbers()) == 100)
        before = len(carrier.submits)
        assert before < 700, "the small one did not wait for the large one's end"


_FROZEN = """
import asyncio, os, sys, time
from dispatch.adapters.guard import Guard

async def main():
    guard = Guard()
    await guard.start()
    deadline = time.monotonic() + float(sys.argv[1])
    guard.tell(deadline)
    print(deadline, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_watchdog_kills_a_stopped_worker():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(_FROZEN), "1.0"], stdout=subprocess.PIPE, env=env)
    assert worker.stdout is not None
    deadline = float(worker.stdout.readline())
    worker.send_signal(signal.SIGSTOP)
    assert worker.wait(15) == -signal.SIGKILL
    assert time.monotonic() > deadline + 0.9, "one second after its deadline, not before"
    worker.stdout.close()


def test_the_watchdog_ends_with_its_worker():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(_FROZEN), "100"], stdout=subprocess.PIPE, env=env)
    assert worker.stdout is not None
    assert float(worker.stdout.readline())
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert len(children) == 1
    worker.kill()
    worker.wait(5)
    worker.stdout.close()
    deadline = time.monotonic() + 5
    child = Path(f"/proc/{children[0]}")
    while child.exists() and ") Z " not in (child / "stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("instance", ["dispatch-1"])
def test_one_process_per_state_directory(tmp_path, instance):
    from dispatch.adapters.boot import Boot, StateDirBusyError

    first = Boot(tmp_path, instance)
    with pytest.raises(StateDirBusyError):
        Boot(tmp_path, instance)
    first.close()
    second = Boot(tmp_path, instance)
    assert first.owner in second.known_dead
    second.close()
