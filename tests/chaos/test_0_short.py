"""The short run: every service, Kafka and PostgreSQL killed once, and a carrier that cuts sessions and loses answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaos.stage import stage

from guanxin.stack.services import SERVICES


async def test_everything_fails_once(open_path: Path, holds) -> None:
    async with stage(open_path / "s", "0 short run", messages=4_000) as s:
        await s.moment(0.05, 0.15)
        s.fault("the carrier loses 2 % of its answers and cuts a session every 2 s")
        await s.simulator(drop_response=0.02, disconnect_every_s=2)
        await s.moment(0.2, 0.3)
        await s.simulator(reset=True, undelivered_suffix="")
        order = [f"{service}-1" for service in SERVICES]
        s.chance.shuffle(order)
        for one in order:
            await asyncio.sleep(s.chance.uniform(0.2, 1.0))
            await s.kill_and_return(one)
        for engine in ("kafka", "postgres"):
            await s.kill_and_return(engine)
        holds(await s.settle())
