"""Everything is restarted in order, and every service scaled from 1 to 4 and back, while messages flow: nothing may stay uncertain."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from chaos.stage import stage

from guanxin.stack.services import SERVICES


async def test_rolling_restart(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "5a rolling restart of everything") as s:
        await s.moment(0.1, 0.2)
        for service in SERVICES:
            await s.kill_and_return(f"{service}-1", signal.SIGTERM)
            await asyncio.sleep(1)
        # Dispatch drains before each of these could hurt it; the engines are the next step.
        drained = (await s.rows("select count(*) n from dispatch.uncertain"))[0]["n"]
        await s.kill_and_return("kafka", signal.SIGTERM)
        await s.kill_and_return("postgres", signal.SIGINT)
        figures = await s.settle()
        holds(figures)
        assert drained == 0, f"{drained} submits were left uncertain by workers that were asked to stop"


async def test_scaling(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "5b every service 1 → 4 → 1", faults_s=75) as s:
        for service in ("dispatch", "spamfilter", "review", "billing-sync", "ingest"):
            for workers in (4, 1):
                made = s.fault(f"{service} to {workers}")
                begun = time.monotonic()
                await s.scale(service, workers)
                made.ready_s = time.monotonic() - begun
                await asyncio.sleep(3)
        figures = await s.settle()
        holds(figures)
        assert figures.uncertain == 0, "workers that were asked to stop left submits uncertain"
