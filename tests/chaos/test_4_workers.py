"""Dispatch workers join, leave, are killed, frozen, and cut off from PostgreSQL or Kafka but not from the carrier.

The carrier's sessions are the scarce good: whatever happens to a worker, no more than agreed exist, and no bind is tried that the
carrier has to refuse because an old session is still there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
from chaos.handmade import NAME, remote_worker
from chaos.stage import Stage, stage
from chaos.wire import wire

FROZEN_S = 90.0
CUT_S = 25.0

_OWNED = (
    "select split_part(owner, ':', 1) as name, count(*) n from dispatch.session_slot where owner is not null group by 1"
)

_OWNERS = "select link, array_agg(distinct split_part(owner, ':', 1)) owners from dispatch.session_slot where owner is not null group by 1"


async def _owners(s: Stage) -> dict[str, int]:
    return {row["name"]: row["n"] for row in await s.rows(_OWNED)}


async def _until_shared(s: Stage, names: set[str]) -> None:
    """Wait until exactly these workers own all sessions."""

    async def shared() -> bool:
        owners = await _owners(s)
        return set(owners) == names and sum(owners.values()) == s.sessions

    await s.until(shared, f"the sessions never belonged to {sorted(names)}: {await _owners(s)}", 240)


async def _no_bind_too_many(s: Stage) -> None:
    seen = await s.simulator()
    assert seen["over_sessions"] == 0, f"{seen['over_sessions']} binds found the old sessions still there"
    assert seen["sessions_max"] <= s.sessions


async def test_workers_join_leave_and_die(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "4a dispatch workers join, leave, die, freeze", faults_s=140) as s:
        await s.moment(0.1, 0.2)
        begun = s.fault("a second and a third worker join")
        await s.scale("dispatch", 3)
        await _until_shared(s, {"dispatch-1", "dispatch-2", "dispatch-3"})
        begun.ready_s = time.monotonic() - begun.at
        await s.kill_and_return("dispatch-2")
        await _until_shared(s, {"dispatch-1", "dispatch-2", "dispatch-3"})
        leaving = s.fault("the third worker leaves")
        await s.scale("dispatch", 2)
        await _until_shared(s, {"dispatch-1", "dispatch-2"})
        leaving.ready_s = time.monotonic() - leaving.at
        await _freeze(s, "dispatch-1")
        await _until_shared(s, {"dispatch-1", "dispatch-2"})
        holds(await s.settle())
        await _no_bind_too_many(s)


async def _one_worker_each(s: Stage) -> None:
    """Wait until each link has one owner, and not all the same."""

    async def each() -> bool:
        owners = {row["link"]: row["owners"] for row in await s.rows(_OWNERS)}
        return all(len(names) == 1 for names in owners.values()) and len({n for (n,) in owners.values()}) == len(owners)

    await s.until(each, f"a link has several owners, or one worker all links: {await s.rows(_OWNERS)}", 60)


async def test_links_kept_together(open_path: Path, holds) -> None:
    name = "4c links kept on one worker each, workers join, die, leave"
    async with stage(open_path / "s", name, faults_s=80, sessions=4, links=2, kept=1) as s:
        await s.moment(0.1, 0.2)
        joining = s.fault("a second worker joins")
        await s.scale("dispatch", 2)
        await _until_shared(s, {"dispatch-1", "dispatch-2"})
        joining.ready_s = time.monotonic() - joining.at
        await _one_worker_each(s)
        for victim in ("dispatch-2", "dispatch-1"):
            await s.kill_and_return(victim)
            await _until_shared(s, {"dispatch-1", "dispatch-2"})
            await _one_worker_each(s)
        leaving = s.fault("the second worker leaves")
        await s.scale("dispatch", 1)
        await _until_shared(s, {"dispatch-1"})
        leaving.ready_s = time.monotonic() - leaving.at
        holds(await s.settle())
        await _no_bind_too_many(s)


async def _freeze(s: Stage, name: str) -> None:
    """Stop a worker for 90 s, as a frozen machine would, and let it go on: by then its watchdog must have ended it."""
    found = await s.component(name)
    assert found is not None
    frozen = psutil.Process(found["pid"])
    made = s.fault(f"SIGSTOP {name} for {FROZEN_S:.0f} s")
    os.kill(frozen.pid, signal.SIGSTOP)

    async def gone() -> bool:
        return not frozen.is_running() or frozen.status() == psutil.STATUS_ZOMBIE

    await s.until(gone, "the frozen worker kept its sessions: its watchdog did not end it", 30)
    s.notes["frozen worker ended by its watchdog after s"] = round(time.monotonic() - made.at, 1)
    await s.healthy(name, made)
    await asyncio.sleep(max(0.0, made.at + FROZEN_S - time.monotonic()))
    if frozen.is_running():  # compares the time of creation too, so this is never somebody else's process
        frozen.send_signal(signal.SIGCONT)


async def test_worker_cut_off(open_path: Path, holds) -> None:
    name = "4b a dispatch worker cut off from PostgreSQL, then from Kafka"
    async with stage(open_path / "s", name, faults_s=90) as s:
        ports = {item["kind"]: item["ports"] for item in s.stack.document["components"]}
        async with (
            wire(ports["database"]["postgres"]) as database,
            wire(ports["broker"]["kafka"], kafka=True) as broker,
            remote_worker(s, database, broker) as worker,
        ):
            await _until_shared(s, {"dispatch-1", NAME})
            assert (await s.simulator())["sessions"] <= s.sessions
            made = s.fault(f"PostgreSQL out of reach of one worker for {CUT_S:.0f} s")
            database.cut()
            await _until_shared(s, {"dispatch-1"})
            made.ready_s = time.monotonic() - made.at
            await asyncio.sleep(max(0.0, made.at + CUT_S - time.monotonic()))
            database.heal()
            await _until_shared(s, {"dispatch-1", NAME})
            s.fault(f"Kafka out of reach of one worker for {CUT_S:.0f} s")
            broker.cut()
            await asyncio.sleep(CUT_S)
            broker.heal()
            s.notes["exit codes of the worker that was cut off"] = str(worker.ends)
            holds(await s.settle())
            await _no_bind_too_many(s)
