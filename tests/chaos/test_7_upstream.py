"""The business system repeats every request it did not see answered in time, and nobody listens where it wants to be told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaos.stage import stage

NOBODY = "http://127.0.0.1:9/told"
"""The discard port: nobody listens on it."""
PATIENCE_S = 0.15


async def test_requests_repeated_and_webhooks_down(open_path: Path, holds) -> None:
    name = "7 requests repeated on time-out, webhook receiver down"
    async with stage(open_path / "s", name, callback=NOBODY, patience_s=PATIENCE_S) as s:
        await s.moment(0.2, 0.4)
        for _ in range(3):
            await s.kill_and_return("ingest-1")
            await asyncio.sleep(2)
        figures = await s.settle()
        waiting = await s.rows("select count(*) n from ingest.webhook where sent_at is null and dead_at is null")
        figures.notes["webhook rows waiting for the receiver"] = waiting[0]["n"]
        holds(figures)
        assert figures.retries, "no request was repeated: the time-out is too long for this machine"
        assert waiting[0]["n"] > 0, "nothing waits for the receiver that was down"
