"""Kafka and PostgreSQL are killed (SIGKILL) while messages flow, and are away for 20 s before they may start again.

The supervisor starts an engine again at once; its new process is stopped (SIGSTOP) before it listens, until the 20 s are over.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaos.stage import stage

AWAY_S = 20.0


async def test_engines_killed(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "2a SIGKILL of Kafka and PostgreSQL", faults_s=90) as s:
        await s.moment(0.15, 0.3)
        for engine in ("kafka", "postgres"):
            await s.kill_and_return(engine)
            await asyncio.sleep(s.chance.uniform(6, 8))
        for engine in ("kafka", "postgres"):
            await s.kill_for(engine, AWAY_S)
            await asyncio.sleep(s.chance.uniform(6, 8))
        holds(await s.settle())
