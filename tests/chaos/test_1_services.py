"""Every service is killed (SIGKILL) several times, one at a time, at random moments while messages flow."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaos.stage import MESSAGES, stage

from guanxin.stack.services import SERVICES


async def test_every_service_killed(open_path: Path, holds) -> None:
    rounds = 3 if MESSAGES >= 20_000 else 2
    async with stage(open_path / "s", "1 SIGKILL of each service", faults_s=110) as s:
        for _ in range(rounds):
            order = list(SERVICES)
            s.chance.shuffle(order)
            for service in order:
                await asyncio.sleep(s.chance.uniform(1, 4))
                await s.kill_and_return(f"{service}-1")
        holds(await s.settle())
